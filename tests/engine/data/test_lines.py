from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sptar_engine.data import lines
from sptar_engine.data.lines import (
    Line,
    clean_text,
    count_lines,
    id_problem,
    line_at,
    parse_id,
    parse_object,
    quoted,
    read_lines,
)
from sptar_engine.errors import InputError


def _file(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(data)
    return path


def test_lines_carry_their_number_and_offset_and_no_line_ending(tmp_path: Path) -> None:
    path = _file(tmp_path, "one\r\n\n  \ntwö\nthree".encode())
    assert list(read_lines(path)) == [
        Line(path, 1, 0, "one"),
        Line(path, 4, 9, "twö"),
        Line(path, 5, 14, "three"),
    ]


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    path = _file(tmp_path, b"\xef\xbb\xbfone\ntwo\n")
    assert [(line.offset, line.text) for line in read_lines(path)] == [(3, "one"), (7, "two")]


def test_a_line_is_read_again_by_its_offset(tmp_path: Path) -> None:
    path = _file(tmp_path, b"\xef\xbb\xbfone\r\ntwo")
    assert [line_at(path, line.offset).text for line in read_lines(path)] == ["one", "two"]


def test_line_separators_of_unicode_do_not_end_a_line(tmp_path: Path) -> None:
    assert len(list(read_lines(_file(tmp_path, "a\u2028b\x85c\x0cd\n".encode())))) == 1


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
def test_wide_encodings_are_refused_by_name(tmp_path: Path, encoding: str) -> None:
    path = _file(tmp_path, '{"_id": "1"}\n'.encode(encoding))
    with pytest.raises(InputError, match=r"rows\.jsonl, line 1: .*UTF-16.*save it as UTF-8"):
        list(read_lines(path))


def test_invalid_utf8_is_named_with_its_line_and_byte(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"rows\.jsonl, line 2: not UTF-8 \(byte 0xe9 at position 4\)"):
        list(read_lines(_file(tmp_path, b"one\ncaf\xe9\n")))


def test_a_line_of_50_mb_is_refused_without_being_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 1 << 20)
    path = _file(tmp_path, b"one\n" + b"x" * (1 << 21))
    with pytest.raises(InputError, match=r"rows\.jsonl, line 2: longer than 1 MiB"):
        list(read_lines(path))


def test_a_line_of_exactly_the_limit_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 10)
    assert [line.text for line in read_lines(_file(tmp_path, b"123456789\nx"))] == ["123456789", "x"]


def test_missing_and_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.jsonl is missing"):
        list(read_lines(tmp_path / "none.jsonl"))
    with pytest.raises(InputError, match=r"cannot be read: Is a directory"):
        list(read_lines(tmp_path))
    with pytest.raises(InputError, match=r"none\.jsonl is missing"):
        count_lines(tmp_path / "none.jsonl")


@pytest.mark.parametrize(("data", "count"), [(b"", 0), (b"a", 1), (b"a\n", 1), (b"a\n\nb", 3), (b"\n\n", 2)])
def test_lines_are_counted_with_blank_ones(tmp_path: Path, data: bytes, count: int) -> None:
    assert count_lines(_file(tmp_path, data)) == count


def _line(text: str) -> Line:
    return Line(Path("rows.jsonl"), 7, 0, text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"_id": "1", "text": "cut', r"cut short or not JSON \(.*column 22 of 25\)"),
        ("{'_id': 1}", "cut short or not JSON"),
        ('{"_id": "1"} {"_id": "2"}', "cut short or not JSON"),
        ('{"_id": "1"}\r{"_id": "2"}', "a CR alone"),
        ('["1", "text"]', "must be a JSON object in braces, not an array"),
        ('"text"', "not text"),
        ("3", "not a number"),
        ("null", "not null"),
        ("true", "not true or false"),
        ('{"_id": "1", "_id": "2"}', "the key '_id' stands twice"),
        ('{"_id": "1", "meta": {"digits": 1, "digits": 2}}', "the key 'digits' stands twice"),
        ('{"score": NaN}', "NaN is not a value that JSON allows"),
        ('{"score": Infinity}', "Infinity is not"),
        ('{"score": -Infinity}', "-Infinity is not"),
        ('{"score": 1e999}', "the number '1e999' is too large"),
        ('{"_id": ' + "9" * 5000 + "}", "a number has 5000 digits; at most 1000 are read"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "nested too deeply"),
    ],
)
def test_bad_json_is_named_with_its_line(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=rf"^rows\.jsonl, line 7: .*{reason}"):
        parse_object(_line(text))


def test_raw_control_characters_within_a_text_are_read() -> None:
    assert parse_object(_line('{"text": "a\tb\x00c"}')) == {"text": "a\tb\x00c"}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "_id is missing"),
        ("", "_id is empty"),
        ("  ", "_id is empty"),
        (1.5, "_id must be text, not a number"),
        (True, "_id must be text, not true or false"),
        (["1"], "_id must be text, not an array"),
        ("a\tb", "control character"),
        ("a\nb", "control character"),
        ("a\x00", "control character"),
        ("a\u2028b", "control character"),
        ("a\ud800b", "control character"),
        (" a", "begins or ends with a space"),
        ("x" * 513, "has 513 characters; at most 512 are allowed"),
    ],
)
def test_bad_ids_are_named_with_their_line(value: object, reason: str) -> None:
    with pytest.raises(InputError, match=rf"^rows\.jsonl, line 7: .*{reason}"):
        parse_id(_line(""), value, "_id")


@pytest.mark.parametrize(
    ("value", "doc_id"), [("a b", "a b"), (12, "12"), ("0012", "0012"), ("é/#\\", "é/#\\"), ("x" * 512, "x" * 512)]
)
def test_good_ids_are_kept_and_whole_numbers_become_text(value: object, doc_id: str) -> None:
    assert parse_id(_line(""), value, "_id") == doc_id


def test_nul_and_lone_surrogates_are_replaced_and_counted() -> None:
    assert clean_text("a\x00b\ud800c\udfffd😀") == ("a\ufffdb\ufffdc\ufffdd😀", 3)
    assert clean_text("plain\x00") == ("plain\ufffd", 1)
    assert clean_text("plain\x01") == ("plain\x01", 0)


def test_messages_quote_only_the_beginning_of_a_long_value() -> None:
    assert quoted("x" * 1000) == repr("x" * 60 + "…")


@given(st.text(max_size=50))
def test_an_id_without_a_problem_survives_a_row_of_tab_separated_columns(value: str) -> None:
    if not id_problem(value):
        assert [cell.strip() for cell in f"{value}\t{value}\n".split("\t")] == [value, value]
        assert json.dumps(value, ensure_ascii=False).encode().decode() == json.dumps(value, ensure_ascii=False)
