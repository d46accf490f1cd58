"""The plots of the comparison, by hand."""

from __future__ import annotations

import pytest
from django.template.loader import render_to_string

from webapp.chart_deltas import MAX_BARS, Delta, draw_deltas, ordered
from webapp.chart_intervals import Mean, draw_intervals


def deltas(*differences: float) -> list[Delta]:
    return [Delta(f"q{at}", f"Question {at}", max(0.0, one), max(0.0, -one)) for at, one in enumerate(differences)]


def draw(*differences: float) -> object:
    return draw_deltas(key="k", ours="new", theirs="old", measure="nDCG@10", deltas=deltas(*differences))


def test_wins_ties_and_losses_are_counted_and_stand_in_order() -> None:
    plot = draw_deltas(key="k", ours="new", theirs="old", measure="m", deltas=deltas(-0.5, 0.0, 0.4, 0.1))
    assert plot is not None
    assert (plot.wins, plot.ties, plot.losses, plot.is_cut) == (2, 1, 1, False)
    assert [bar.delta.key for bar in plot.bars] == ["q2", "q3", "q1", "q0"]
    assert [bar.delta.outcome for bar in plot.bars] == ["win", "win", "tie", "loss"]


def test_gains_stand_above_the_axis_and_losses_below_in_proportion() -> None:
    plot = draw_deltas(key="k", ours="new", theirs="old", measure="m", deltas=deltas(0.5, 0.25, -0.5))
    assert plot is not None
    half, quarter, loss = plot.bars
    assert half.y + half.height == pytest.approx(plot.zero)
    assert half.height == pytest.approx(2 * quarter.height, abs=0.2)
    assert (loss.y, loss.height) == (pytest.approx(plot.zero), pytest.approx(half.height, abs=0.1))
    assert [tick.text for tick in plot.ticks] == ["-0.6", "-0.4", "-0.2", "0", "+0.2", "+0.4", "+0.6"]
    assert plot.top <= half.y
    assert loss.y + loss.height <= plot.bottom


def test_bars_fill_the_width_and_do_not_overlap() -> None:
    plot = draw_deltas(key="k", ours="new", theirs="old", measure="m", deltas=deltas(*[0.1] * 50))
    assert plot is not None
    assert plot.bars[0].x == plot.left
    assert plot.bars[-1].x + plot.bars[-1].slot == pytest.approx(plot.right, abs=0.1)
    for one, other in zip(plot.bars, plot.bars[1:], strict=False):
        assert one.bar_x + one.width <= other.bar_x + 0.01


def test_of_very_many_questions_the_largest_differences_are_drawn() -> None:
    many = [((at % 101) - 50) / 100 for at in range(1000)]
    plot = draw_deltas(key="k", ours="new", theirs="old", measure="m", deltas=deltas(*many))
    assert plot is not None
    assert (len(plot.bars), plot.is_cut, plot.questions) == (MAX_BARS, True, 1000)
    assert min(abs(bar.delta.difference) for bar in plot.bars) >= 0.4
    assert [bar.delta for bar in plot.bars] == ordered([bar.delta for bar in plot.bars])


def test_nothing_to_draw_is_no_plot_and_all_ties_are_one() -> None:
    assert draw() is None
    plot = draw_deltas(key="k", ours="new", theirs="old", measure="m", deltas=deltas(0.0, 0.0))
    assert plot is not None
    assert (plot.ties, plot.bars[0].height) == (2, 3.0)


def test_intervals_share_one_scale() -> None:
    means = [Mean("a", 0.3, 0.2, 0.4), Mean("b", 0.4, 0.3, 0.5)]
    chart = draw_intervals(key="k", title="t", description="d", means=means)
    assert chart is not None
    first, second = chart.bars
    assert first.end == second.middle
    assert first.middle == second.start
    assert second.middle - first.middle == pytest.approx(first.end - first.middle, abs=0.2)
    assert [tick.text for tick in chart.ticks] == ["0.2", "0.25", "0.3", "0.35", "0.4", "0.45", "0.5"]
    assert chart.table.rows[0] == ("a", "0.300", "0.200", "0.400")
    assert draw_intervals(key="k", title="t", description="d", means=[]) is None


def test_a_long_name_has_two_lines_and_room_for_them() -> None:
    long = "Tuned question writer (SPTAR), late interaction, equal numbers"
    chart = draw_intervals(key="k", title="t", description="d", means=[Mean("Short, one", 0.3, 0.2, 0.4)] * 2)
    tall = draw_intervals(
        key="k", title="t", description="d", means=[Mean("Short, one", 0.3, 0.2, 0.4)] * 2 + [Mean(long, 0.3, 0.2, 0.4)]
    )
    assert chart is not None and tall is not None
    assert [(bar.name, bar.kind) for bar in tall.bars[1:]] == [
        ("Short, one", ""), ("Tuned question writer (SPTAR)", "late interaction, equal numbers"),
    ]  # fmt: skip
    assert tall.bars[1].y - tall.bars[0].y > chart.bars[1].y - chart.bars[0].y
    assert tall.table.rows[2][0] == long
    assert ">late interaction, equal numbers</text>" in render_to_string("charts/_intervals.html", {"chart": tall})


def test_equal_means_have_a_scale_too() -> None:
    chart = draw_intervals(key="k", title="t", description="d", means=[Mean("a", 0.5, 0.5, 0.5)])
    assert chart is not None
    assert chart.left <= chart.bars[0].middle <= chart.right


def test_a_plot_says_its_numbers_as_a_table() -> None:
    drawn = render_to_string("charts/_deltas.html", {"plot": draw(0.5, -0.25)})
    assert "Question 0" in drawn
    assert "+0.500" in drawn
    assert "-0.250" in drawn
    assert "style=" not in drawn
