"""Geometry by hand, and the drawings as they were looked at once (`golden/`; REDRAW=1 writes them anew)."""

from __future__ import annotations

import os
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from django.template.loader import render_to_string

from webapp.charts import MAX_POINTS, Histogram, LineChart, Series, draw_histogram, draw_lines, show

GOLDEN = Path(__file__).parent / "golden"


def lines() -> LineChart:
    chart = draw_lines(
        key="surprise",
        title="Surprise <by> pass",
        description="It fell from 49.3 to 29.2.",
        x_name="pass",
        y_name="Surprise",
        series=[
            Series("held-out", [(0, 49.3), (1, 35.7), (2, 33.7), (3, 29.2)]),
            Series("training & more", [(1, 37.4), (2, 61.6), (3, 26.0)]),
        ],
        best=((3, 29.2), "best: 29.2"),
    )
    assert chart is not None
    return chart


def bars() -> Histogram:
    chart = draw_histogram(
        key="words", title="Words", description="How many words.", x_name="words", y_name="questions",
        values=[3, 5, 5, 6, 9],
    )  # fmt: skip
    assert chart is not None
    return chart


@pytest.mark.parametrize("kind", ["lines", "bars"])
def test_a_drawing_is_as_it_was_looked_at(kind: str) -> None:
    drawn = render_to_string(f"charts/_{kind}.html", {"chart": lines() if kind == "lines" else bars()})
    path = GOLDEN / f"{kind}.html"
    if os.environ.get("REDRAW"):
        path.write_text(drawn, encoding="utf-8")
    assert drawn == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", ["lines", "bars"])
def test_a_drawing_is_well_formed_and_says_what_it_shows(kind: str) -> None:
    drawn = render_to_string(f"charts/_{kind}.html", {"chart": lines() if kind == "lines" else bars()})
    assert "style=" not in drawn
    assert not re.search(r"\son\w+=", drawn)
    svg = ET.fromstring(re.findall(r"<svg[^>]*role=.*?</svg>", drawn, re.DOTALL)[0])  # noqa: S314  our own
    assert svg.get("role") == "img"
    assert [child.tag for child in svg][:2] == ["title", "desc"]
    assert svg.get("aria-labelledby") == f"{svg[0].get('id')} {svg[1].get('id')}"
    assert "<table" in drawn


def test_points_stand_where_their_values_are() -> None:
    chart = lines()
    # The axes run from 0 to 3 and from 20 to 70; the area is 572 wide from 52 and 220 high from 16.
    assert [tick.text for tick in chart.frame.x_ticks] == ["0", "1", "2", "3"]
    assert [tick.text for tick in chart.frame.y_ticks] == ["20", "30", "40", "50", "60", "70"]
    assert chart.frame.x_ticks[0].at == 52
    assert chart.frame.x_ticks[-1].at == 624
    assert chart.frame.y_ticks[0].at == 236
    assert chart.frame.y_ticks[-1].at == 16
    assert chart.lines[0].path.startswith(f"M52 {round(236 - (49.3 - 20) / 50 * 220, 1):g} L")
    assert chart.best is not None
    assert (chart.best.x, chart.best.anchor) == (624, "end")


def test_the_table_holds_every_number() -> None:
    assert lines().frame.table.rows == (("0", "49.3", ""), ("1", "35.7", "37.4"), ("2", "33.7", "61.6"),
                                        ("3", "29.2", "26"))  # fmt: skip


def test_nothing_to_draw_is_no_chart() -> None:
    empty = {"key": "k", "title": "t", "description": "d", "x_name": "x", "y_name": "y"}
    assert draw_lines(**empty, series=[Series("none", [])]) is None
    assert draw_histogram(**empty, values=[]) is None


@pytest.mark.parametrize("points", [[(0, 5.0)], [(0, 5.0), (1, 5.0)], [(0, 0.0)], [(7, -3.5), (7, 2.0)]])
def test_flat_and_single_points_have_an_axis_too(points: list[tuple[float, float]]) -> None:
    chart = draw_lines(key="k", title="t", description="d", x_name="x", y_name="y", series=[Series("one", points)])
    assert chart is not None
    assert "nan" not in chart.lines[0].path
    assert len(chart.frame.y_ticks) >= 2


def test_a_long_line_is_thinned_and_keeps_its_ends() -> None:
    points = [(float(step), float(step % 7)) for step in range(5000)]
    chart = draw_lines(key="k", title="t", description="d", x_name="x", y_name="y", series=[Series("one", points)])
    assert chart is not None
    assert chart.lines[0].path.count("L") == MAX_POINTS - 1
    assert chart.lines[0].marks == ()
    assert len(chart.frame.table.rows) == 60
    assert chart.frame.table.rows[-1][0] == "4,999"


def test_whole_numbers_in_a_narrow_range_get_a_bar_each() -> None:
    assert bars().frame.table.rows == (("3", "1"), ("4", "0"), ("5", "2"), ("6", "1"), ("7", "0"), ("8", "0"),
                                       ("9", "1"))  # fmt: skip


def test_a_wide_range_gets_at_most_twenty_bars_that_hold_everything() -> None:
    chart = draw_histogram(
        key="k", title="t", description="d", x_name="x", y_name="y", counts=[(0, 5), (150, 3), (1000, 2)]
    )
    assert chart is not None
    assert len(chart.bars) <= 20
    assert sum(int(row[1]) for row in chart.frame.table.rows) == 10


@pytest.mark.parametrize(
    ("value", "text"), [(3.0, "3"), (1234, "1,234"), (0.4685, "0.469"), (29.18, "29.2"), (1234.56, "1,234.6")]
)
def test_numbers_are_shown_short(value: float, text: str) -> None:
    assert show(value) == text


def test_an_interval_reaches_from_its_low_to_its_high_end_and_is_within_the_axis() -> None:
    chart = draw_lines(
        key="k", title="t", description="d", x_name="x", y_name="y", series=[Series("one", [(0, 5), (10, 5)])],
        intervals=[(10, 0, 10)],
    )  # fmt: skip
    assert chart is not None
    # x from 52 to 624 for 0 to 10, y from 236 to 16 for 0 to 10; feet of 8 units.
    assert chart.intervals[0].d == "M620 16h8M624 16V236M620 236h8"
    assert chart.intervals[0].title == "0 to 10 at 10"
    drawn = render_to_string("charts/_lines.html", {"chart": chart})
    assert 'class="series interval s1" d="M620 16h8M624 16V236M620 236h8"' in drawn
