"""The health report in words, and its chart."""

from __future__ import annotations

from typing import Any

import pytest

from webapp.charts import RowBar, draw_rows
from webapp.models import Corpus, Upload
from webapp.selectors.corpus_health import Health, health_of


def report(**changes: Any) -> dict[str, Any]:
    words = {"mean": 50.0, "median": 40, "percentile_95": 90, "longest": 300, "histogram": [
        {"low": 0, "high": 10, "documents": 0}, {"low": 10, "high": 20, "documents": 3},
        {"low": 2560, "high": None, "documents": 0},
    ]}  # fmt: skip
    return {
        "words": words, "window_tokens": 256, "long_share": 0.0, "duplicate_documents": 0, "duplicate_ids": [],
        "language": "en", "language_share": 1.0, "languages": {"en": 1.0}, "left_out": 0, "changed_rows": 0, **changes,
    }  # fmt: skip


def health(documents: int = 100, upload: Upload | None = None, **changes: Any) -> Health:
    return health_of(Corpus(documents=documents, health=report(**changes), upload=upload))


def test_a_healthy_version_has_nothing_to_do() -> None:
    found = health()

    assert found.warnings == 0
    assert [remark.name for remark in found.remarks] == [
        "Number", "Length", "Reading window", "Duplicates", "Rows", "Language",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "sentence", "todo"),
    [
        ({"documents": 49}, "There are only 49.", "Upload more documents"),
        ({"long_share": 0.21}, "21 % are longer than what the search model reads at once", "Cut long documents"),
        ({"duplicate_documents": 2, "duplicate_ids": ["a", "b"]}, "2 repeat the text of an earlier one", "They"),
        ({"language": "de"}, "German, as it seems (100 % of a sample).", "The bundled models know English best"),
        ({"language": "und"}, "The language could not be told.", "Check that the texts are not garbled."),
        (
            {"language_share": 0.6, "languages": {"en": 0.6, "fr": 0.4}},
            "Several languages, as it seems: English 60 %, French 40 %.", "One project for each language",
        ),
    ],
)  # fmt: skip
def test_what_matters_is_said_with_what_to_do(changes: dict[str, Any], sentence: str, todo: str) -> None:
    found = health(**changes)

    (warning,) = [remark for remark in found.remarks if remark.state == "warn"]
    assert sentence in warning.sentence
    assert warning.todo.startswith(todo)


def test_what_does_not_matter_is_said_without_alarm() -> None:
    found = health(
        documents=1000, duplicate_documents=1, duplicate_ids=["a"], long_share=0.004, left_out=1, changed_rows=2
    )

    assert found.warnings == 0
    sentences = " ".join(remark.sentence for remark in found.remarks)
    assert "1 repeats the text of an earlier one, such as a." in sentences
    assert "under 1 % are longer" in sentences
    assert "1 bad or empty row of the file was left out." in sentences
    assert "In 2 rows characters that nothing can store were replaced" in sentences


def test_cutting_is_offered_with_what_it_makes_unless_judgements_name_whole_documents() -> None:
    table = Upload(kind="table", options={"found": {"pieces": 250}})
    dataset = Upload(kind="beir", options={"found": {"pieces": 250, "splits": ["test"]}})

    assert health(upload=table, long_share=0.5).pieces == 250
    assert health(upload=table, long_share=0.1).pieces == 0
    assert health(upload=dataset, long_share=0.5).pieces == 0


def test_a_version_without_a_report_shows_none() -> None:
    assert health_of(Corpus(documents=1, health={})) == Health([], None)


def test_the_longest_bar_fills_the_room_and_empty_groups_at_the_end_go() -> None:
    chart = health().chart

    assert chart is not None
    assert chart.bars == (
        RowBar("0 to 9", "0", 5, 0.0, 16, 17, 98.0),
        RowBar("10 to 19", "3", 31, 160.0, 16, 43, 258.0),
    )
    assert chart.height == 52
    assert chart.table.rows == (("0 to 9", "0"), ("10 to 19", "3"))
    empty = draw_rows(key="k", title="t", description="d", names=("a", "b"), rows=[("x", 0)])
    assert empty is None
