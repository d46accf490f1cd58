"""The web benchmark on a few rows: its sides agree, and its sums, by hand."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from benchmarks import web, web_site
from benchmarks.web import KINDS, Databases, Site, address, figures, percentile, summarise
from sptar_engine.artifacts import write_jsonl


def test_documents_are_the_same_each_time_and_have_their_own_ids() -> None:
    first, again = list(web_site.documents(20)), list(web_site.documents(20))
    assert first == again
    assert len({one.doc_id for one in first}) == 20
    assert all(20 <= len(one.text.split()) <= 100 for one in first)


def test_the_percentile_is_the_smallest_value_that_so_many_do_not_exceed() -> None:
    assert percentile([float(number) for number in range(1, 101)], 0.95) == 95
    assert percentile([3.0, 1.0, 2.0], 0.95) == 3
    assert percentile([7.0], 0.95) == 7


def test_addresses_stay_inside_the_project() -> None:
    about = {"slug": "abc", "first": 5, "documents": 10, "newest": 20, "examples": 20}
    draw = random.Random(1)
    found = {kind: {address(kind, about, draw) for _ in range(50)} for kind in KINDS}
    assert found["documents"] <= {f"/p/abc/documents/?after={key}" for key in range(5, 15)}
    assert all("?q=" in one and "+" in one for one in found["search"])
    assert all("?split=" in one or "?before=" in one for one in found["examples"])


def measured() -> dict[str, Any]:
    def imported(rate: float, extra: float) -> dict[str, float]:
        return {"rate": rate, "extra_mb": extra}

    return {
        "taken": {
            10_000: {"documents": [20.0], "examples": [10.0], "search": [40.0]},
            1_000_000: {"documents": [24.0], "examples": [14.0], "search": [42.0]},
        },
        "deep": {"ours": 10.0, "paginator": 80.0, "ours_request": 30.0, "paginator_request": 100.0},
        "imports": {
            "ours": [imported(300, 1), imported(200, 1), imported(400, 1)],
            "bulk_create": [imported(100, 900), imported(120, 900), imported(90, 900)],
            "whole": [imported(50, 123.4)],
        },
    }


def test_the_figures_by_hand() -> None:
    found = figures(measured(), 1_000_000)
    assert found["ratio"] == {"paginator": 8.0, "bulk_create": 3.0}
    checks = found["checks"]
    assert (checks["flat_1m_over_10k"], checks["p95_ms"], checks["extra_mb"]) == (1.4, 42.0, 123)
    assert (checks["pages"], checks["request_ms"], checks["paginator_request_ms"]) == (6, 30.0, 100.0)


def test_the_line_has_the_other_database_among_its_checks() -> None:
    numbers = figures(measured(), 1_000_000)
    line = summarise(numbers, numbers)
    assert line["ratio"] == {"paginator": 8.0, "bulk_create": 3.0}
    assert line["checks"]["postgres"]["flat_1m_over_10k"] == 1.4
    assert "postgres" not in summarise(numbers, None)["checks"]


@pytest.mark.processes
def test_both_sides_show_the_same_page_and_import_the_same_rows(tmp_path: Path) -> None:
    site = web.build(tmp_path / "site", Databases().make(), 400)
    assert (site.about["documents"], site.about["examples"]) == (400, 60)
    deep = site.run("pages", site.about["slug"], "200")
    assert deep.keys() == {"ours", "paginator", "ours_request", "paginator_request"}
    rows = [{"_id": one.doc_id, "title": one.title, "text": one.text} for one in web_site.documents(300)]
    write_jsonl(tmp_path / "documents.jsonl", rows)
    for how in ("ours", "bulk_create", "whole"):
        one = Site(tmp_path / how, "")
        one.folder.mkdir()
        assert one.run("import", how, str(tmp_path / "documents.jsonl"))["rows"] == 300


def test_no_postgres_is_no_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("TEST_POSTGRES_URL", raising=False)
    monkeypatch.setenv("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing")
    assert web.postgres_server() == ""
    assert "does not answer" in capsys.readouterr().err
