"""Encodings and line ends (RELIABILITY T26)."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from sptar_engine.data.lines import MAX_LINE_BYTES
from sptar_engine.errors import InputError
from webapp.reading.sources import Budget, FileSource
from webapp.reading.text_lines import guess_encoding, text_lines


def texts(raw: bytes, encoding: str = "utf-8") -> list[str]:
    return [line.text for line in text_lines([raw], encoding)]


@pytest.mark.parametrize(
    "raw", [b"a\nb\nc", b"a\r\nb\r\nc\r\n", b"a\rb\rc", b"\xef\xbb\xbfa\nb\nc\n"], ids=["lf", "crlf", "cr", "mark"]
)
def test_each_kind_of_line_end_ends_a_line_and_no_mark_is_part_of_the_first(raw: bytes) -> None:
    assert texts(raw) == ["a", "b", "c"]


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf16_is_recognised_with_and_without_mark(codec: str) -> None:
    raw = "ä\nb\n".encode(codec)

    assert guess_encoding(raw) == "utf-16"
    assert texts(raw, "utf-16") == ["ä", "b"]


def test_utf16_in_blocks_that_cut_characters_is_read_whole() -> None:
    raw = "grüße\nöl\n".encode("utf-16")

    blocks = [raw[at : at + 3] for at in range(0, len(raw), 3)]

    assert [line.text for line in text_lines(blocks, "utf-16")] == ["grüße", "öl"]


def test_half_a_character_of_utf16_becomes_the_replacement_character() -> None:
    raw = b"\xff\xfe" + b"a\0" + b"\x00\xd8" + b"\n\0"

    assert texts(raw, "utf-16") == ["a\ufffd"]


def test_latin1_is_offered_for_what_is_not_utf8() -> None:
    raw = "Grüße, €".encode("cp1252")

    assert guess_encoding(raw) == "latin-1"
    assert texts(raw, "latin-1") == ["Grüße, €"]
    assert texts(b"\x81", "latin-1") == ["\x81"]


def test_a_beginning_that_ends_within_a_character_is_still_utf8() -> None:
    assert guess_encoding("aaä".encode()[:-1]) == "utf-8"


def test_one_bad_line_spoils_no_other() -> None:
    lines = list(text_lines([b"one\ntw\xe9\nthree\n"], "utf-8"))

    assert [line.text for line in lines] == ["one", "", "three"]
    assert lines[1].problem is not None
    assert lines[1].problem.line == 2
    assert lines[1].problem.reason == "not UTF-8 (byte 0xe9 at position 3)"


def test_a_line_beyond_the_limit_is_named_and_the_next_one_is_read() -> None:
    blocks = [b"x" * (1 << 20)] * 17 + [b"\nnext\n"]

    lines = list(text_lines(blocks, "utf-8"))

    assert lines[0].problem is not None
    assert lines[0].problem.reason == "longer than 16 MiB; a row is one document"
    assert lines[1].text == "next"
    assert MAX_LINE_BYTES == 16 << 20


def test_gzip_is_unpacked_and_stops_at_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "bomb"
    path.write_bytes(gzip.compress(b"a\n" * (4 << 20)))

    with FileSource(path, Budget(100 << 20)) as source:
        assert sum(len(block) for block in source) == 8 << 20
    with FileSource(path, Budget(1 << 20)) as source, pytest.raises(InputError, match="unpacks to more than 1 MB"):
        list(source)


def test_a_gzip_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut"
    path.write_bytes(gzip.compress(b"a\n" * 10_000)[:-20])

    with FileSource(path, Budget(1 << 30)) as source, pytest.raises(InputError, match="damaged or cut short"):
        list(source)
