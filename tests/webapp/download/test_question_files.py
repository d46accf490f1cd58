"""Generated questions as files: exact as JSON lines, safe as CSV, and the same text back (T40)."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from tests.webapp.download.conftest import Make
from tests.webapp.download.results import add_questions
from webapp.downloads import exact_cell, restored_cell
from webapp.models import Archive, Experiment, User, WeakQuery
from webapp.reading.pairs import PairRow, read_table
from webapp.reading.text_lines import text_lines
from webapp.selectors import archives as found
from webapp.selectors.question_rows import COLUMNS, is_kept, question_rows

NASTY = [
    "=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "'=quoted", "''+twice", "'plain apostrophe", 'a "quote", a comma',
    "=HYPERLINK(\"http://evil\", 'x')", "\uff1dfull width", "ends with newline kept inside\nsecond line", "naïve “ñ”",
    "漢字", "\ttab first", "\rreturn first", "<script>alert(1)</script>", "",
]  # fmt: skip


def file(archive: Archive) -> Path:
    path = found.file_of(archive)
    assert path is not None
    return path


def rows_of_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def nasty(experiment: Experiment) -> list[str]:
    WeakQuery.objects.all().delete()
    add_questions(experiment, NASTY, rank=3, loss=0.1)
    return NASTY


def test_no_cell_of_the_csv_is_a_formula(nasty: list[str], make: Make) -> None:
    for row in rows_of_csv(file(make("questions", chosen="csv"))):
        for cell in row.values():
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"))


def test_the_csv_gives_the_same_text_back(nasty: list[str], make: Make) -> None:
    rows = rows_of_csv(file(make("questions", chosen="csv")))
    assert [restored_cell(row["question"]) for row in rows] == nasty
    assert [restored_cell(row["generated"]) for row in rows] == nasty


def test_json_lines_are_exact_and_say_the_same_as_the_csv(nasty: list[str], make: Make) -> None:
    exact = [json.loads(line) for line in file(make("questions", chosen="jsonl")).read_text().splitlines()]
    assert [row["question"] for row in exact] == nasty
    assert [tuple(row) for row in exact] == [COLUMNS] * len(nasty)
    table = rows_of_csv(file(make("questions", chosen="csv")))
    for row, cells in zip(exact, table, strict=True):
        assert {name: restored_cell(cell) for name, cell in cells.items()} == {
            name: "yes" if value is True else "no" if value is False else "" if value is None else str(value)
            for name, value in row.items()
        }


def test_the_import_of_examples_reads_the_csv(nasty: list[str], make: Make) -> None:
    path = file(make("questions", chosen="csv"))
    with path.open("rb") as stream:
        read = [row for row in read_table(text_lines([stream.read()], "utf-8"), ",") if isinstance(row, PairRow)]
    plain = [" ".join(text.split()) for text in nasty if text]  # the app keeps questions on one line
    assert [(row.query, row.doc_id) for row in read] == [(text, "d1") for text in plain]


@given(st.text())
def test_every_cell_is_given_back_as_it_was(text: str) -> None:
    cell = exact_cell(text)
    assert restored_cell(cell) == text
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


def test_verdicts_and_where_a_question_is_from(experiment: Experiment, owner: User, make: Make) -> None:
    at = timezone.now()
    WeakQuery.objects.filter(weak_id="w0").update(
        verdict="edit", edited="how long may one keep a book", reason="wording", reviewer=owner, reviewed_at=at
    )
    first, second = (json.loads(line) for line in file(make("questions", chosen="jsonl")).read_text().splitlines())
    assert first == {
        "question": "how long may one keep a book", "doc_id": "d1", "verdict": "edit", "reason": "wording",
        "kept": True, "generated": "how long may a book be kept", "arm": "sptar", "rank": 1, "loss": None,
        "dropped": "", "reviewer": "Olga Owner", "reviewed_at": at.isoformat(), "promoted": "", "experiment": 1,
        "batch": "generate.sptar-0123456789abcdef", "weak_id": "w0",
    }  # fmt: skip
    assert (second["verdict"], second["kept"], second["reviewer"]) == ("", True, "")


@pytest.mark.parametrize(
    ("verdict", "dropped", "kept"),
    [
        ("", "", True), ("", "rank", False), ("accept", "rank", True), ("edit", "duplicate", True),
        ("accept", "short", False), ("edit", "empty", False),
        ("reject", "", False), ("unsure", "", True), ("unsure", "rank", False),
    ],
)  # fmt: skip
def test_a_verdict_counts_more_than_the_filter(verdict: str, dropped: str, kept: bool) -> None:
    assert is_kept({"verdict": verdict, "dropped": dropped}) is kept


@pytest.mark.parametrize(
    ("dropped", "beyond", "told", "kept"),
    [("rank", 0, "", True), ("", 1, "rank", False), ("", 0, "", True), ("duplicate", 0, "duplicate", False)],
)
def test_kept_is_by_the_threshold_of_the_experiment_itself(
    experiment: Experiment, dropped: str, beyond: int, told: str, kept: bool
) -> None:
    # Another experiment with another threshold has written `dropped`.
    top_k = experiment.stages.get(step_id="filter.sptar").config["top_k"]
    WeakQuery.objects.filter(weak_id="w0").update(dropped=dropped, rank=top_k + beyond)
    row = next(question_rows(experiment.stages.get(step_id="generate.sptar"), "sptar"))
    assert (row["dropped"], row["kept"]) == (told, kept)


def test_long_tables_are_read_in_pieces(experiment: Experiment, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webapp.selectors.question_rows._AT_ONCE", 3)
    WeakQuery.objects.all().delete()
    add_questions(experiment, [f"question {number}" for number in range(10)])
    rows = rows_of_csv(file(make("questions")))
    assert [row["question"] for row in rows] == [f"question {number}" for number in range(10)]
