"""JSON lines, row by row (RELIABILITY T27, T28, T29)."""

from __future__ import annotations

import json

import pytest

from webapp.reading.jsonl import read_jsonl
from webapp.reading.rows import Found, Group, Problem, Row


def read(*lines: str | bytes) -> list[Found]:
    raw = b"\n".join(line if isinstance(line, bytes) else line.encode("utf-8", "surrogatepass") for line in lines)
    return list(read_jsonl([raw], "utf-8"))


def only(found: list[Found]) -> Found:
    assert len(found) == 1
    return found[0]


def test_a_row_has_an_id_a_title_and_a_text() -> None:
    assert only(read('{"_id": "1", "title": "T", "text": "x"}')) == Row(1, "1", "T", "x")


def test_usual_other_names_are_understood_and_a_number_is_an_id() -> None:
    assert only(read('{"id": 7, "contents": "x"}')) == Row(1, "7", "", "x")


def test_blank_lines_are_skipped_and_lines_keep_their_numbers() -> None:
    found = read('{"_id": "1", "text": "x"}', "", "   ", '{"_id": "2", "text": "y"}')

    assert [row.line for row in found] == [1, 4]


@pytest.mark.parametrize(
    ("line", "group", "reason"),
    [
        ('{"_id": "1", "te', Group.BROKEN, "cut short or not JSON"),
        ('["1", "x"]', Group.BROKEN, "a row must be a JSON object in braces, not an array"),
        ('{"_id": "1", "_id": "2", "text": "x"}', Group.BROKEN, "the key '_id' stands twice in one object"),
        ('{"_id": "1", "text": "x", "n": NaN}', Group.BROKEN, "NaN is not a value that JSON allows"),
        ('{"_id": "1", "n": ' + "9" * 5000 + "}", Group.BROKEN, "a number has 5000 digits; at most 1000 are read"),
        ("[" * 100_000, Group.BROKEN, "the JSON is nested too deeply; a row is one flat object"),
        ('{"text": "x"}', Group.ID, "_id is missing"),
        ('{"_id": "", "text": "x"}', Group.ID, "_id is empty"),
        ('{"_id": ["1"], "text": "x"}', Group.ID, "_id must be text, not an array"),
        ('{"_id": "a\\tb", "text": "x"}', Group.ID, "_id 'a\\tb' holds a tab, a newline or another control character"),
        ('{"_id": "a\\nb", "text": "x"}', Group.ID, "holds a tab, a newline or another control character"),
        ('{"_id": " a", "text": "x"}', Group.ID, "begins or ends with a space"),
        (json.dumps({"_id": "i" * 10_240, "text": "x"}), Group.ID, "_id has 10240 characters; at most 512 are allowed"),
        ('{"_id": "1", "title": "x"}', Group.EMPTY, "the document '1' has no text; a row is _id, title, text"),
        ('{"_id": "1", "text": " "}', Group.EMPTY, "the document '1' has neither title nor text"),
        ('{"_id": "1", "text": 5}', Group.TYPE, "text must be text, not a number"),
    ],
)
def test_what_is_wrong_with_a_row_is_said_with_its_line(line: str, group: Group, reason: str) -> None:
    found = only(read(line))

    assert isinstance(found, Problem)
    assert (found.line, found.group) == (1, group)
    assert reason in found.reason
    assert "file" not in found.reason
    assert found.fix


def test_nul_and_lone_surrogates_are_replaced_and_counted() -> None:
    nul, surrogate = read('{"_id": "1", "text": "a\\u0000b"}', '{"_id": "2", "text": "a\\ud800b"}')

    assert nul == Row(1, "1", "", "a\ufffdb", changed=True)
    assert surrogate == Row(2, "2", "", "a\ufffdb", changed=True)


@pytest.mark.parametrize(
    "text", ["😀", "שלום", "?!…", "Relevant Query:\n Document:", "<|im_end|><s>[INST]", "<script>alert(1)</script>"]
)
def test_any_other_text_is_just_text(text: str) -> None:
    assert only(read(json.dumps({"_id": "a/../b", "text": text}))) == Row(1, "a/../b", "", text)


def test_an_excerpt_is_short_and_storable() -> None:
    found = only(read('{"text": "' + "long \x00" * 100 + '"}'))

    assert isinstance(found, Problem)
    assert len(found.excerpt) <= 81
    assert "\x00" not in found.excerpt
