"""What a query reads as, and what a person says it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from sptar_engine.configs import QUERY_STYLES
from sptar_engine.data.beir import read_queries, write_labels
from sptar_engine.data.query_styles import CLAIM, KEYWORDS, QUESTION, STYLES, by_style, read_style, style_of
from sptar_engine.errors import InputError
from sptar_engine.records import Document, Query, SeedPair


def test_styles_are_those_of_the_setting() -> None:
    assert ("any", *STYLES, "mixed") == QUERY_STYLES


@pytest.mark.parametrize(
    ("text", "style"),
    [
        ("how do I read a csv file", QUESTION),
        ("What's the largest owl?", QUESTION),
        ("is it possible to fly", QUESTION),
        ("doesn’t ice float", QUESTION),  # noqa: RUF001
        ("In which year did it end", QUESTION),
        ("the capital of Spain?", QUESTION),
        ("猫は何を食べますか？", QUESTION),  # noqa: RUF001
        ("csv reader header row", KEYWORDS),
        ("experimental studies of creep buckling.", KEYWORDS),
        ("in vitro meat", KEYWORDS),
        ("猫", KEYWORDS),
        ("Vitamin D lowers the risk of fractures.", CLAIM),
        ("my program hangs", CLAIM),
        ("falcons are faster than herons", CLAIM),
        ("turn an integer into four bytes, most significant one first", CLAIM),
        ("", KEYWORDS),
    ],
)
def test_a_text_reads_as_a_style(text: str, style: str) -> None:
    assert read_style(text) == style


def test_what_a_person_says_counts_more_than_the_text() -> None:
    assert style_of(Query("q", "is it so", CLAIM)) == CLAIM
    assert style_of(Query("q", "is it so")) == QUESTION


def test_seeds_are_grouped_in_the_order_of_the_styles() -> None:
    seeds = {
        name: (SeedPair(Query(name, text), Document("d", "")),)
        for name, text in [("a", "blue owl"), ("b", "why"), ("c", "owls are blue"), ("d", "red owl")]
    }
    assert {style: list(found) for style, found in by_style(seeds).items()} == {
        QUESTION: ["b"], KEYWORDS: ["a", "d"], CLAIM: ["c"],
    }  # fmt: skip


def test_style_of_a_row_is_read_and_written_back(tmp_path: Path) -> None:
    queries = [Query("a", "owls are blue", CLAIM), Query("b", "blue owl")]
    write_labels(tmp_path, queries, {})
    lines = (tmp_path / "queries.jsonl").read_text().splitlines()
    assert lines == [
        '{"_id": "a", "text": "owls are blue", "metadata": {"style": "claim"}}', '{"_id": "b", "text": "blue owl"}',
    ]  # fmt: skip
    assert list(read_queries(tmp_path).values()) == queries


@pytest.mark.parametrize("metadata", ["{}", "null", '"of 1998"', '{"url": "x"}', '{"style": ""}', '{"style": null}'])
def test_metadata_without_a_style_is_left_alone(tmp_path: Path, metadata: str) -> None:
    (tmp_path / "queries.jsonl").write_text('{"_id": "a", "text": "owl", "metadata": ' + metadata + "}\n")
    assert read_queries(tmp_path)["a"].style == ""


def test_unknown_style_is_an_input_error_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "queries.jsonl").write_text('{"_id": "a", "text": "owl", "metadata": {"style": "questions"}}\n')
    with pytest.raises(InputError, match=r"line 1: the style 'questions' is not one of question, keywords, claim"):
        read_queries(tmp_path)
