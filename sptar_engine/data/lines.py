"""What a user's file may hold, line by line: bounded lines of UTF-8, strict JSON objects, plain ids, clean text.

Everything wrong is one InputError that names the file, the line and what is allowed.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, NoReturn

from sptar_engine.errors import InputError

MAX_LINE_BYTES = 16 << 20
"""Longest line that is read: a document of 16 MiB is a mistake (a whole file on one line), not a passage."""

MAX_ID_CHARACTERS = 512
"""Longest id; Lucene and database indexes take it too."""

REPLACEMENT = "\ufffd"

_UTF8_MARK = b"\xef\xbb\xbf"
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")  # UTF-16 either way, UTF-32 big-endian
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # valid in JSON; a database or an encoder breaks on them
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_BLOCK = 1 << 20  # bytes
_MAX_DIGITS = 1000  # of a whole number; Python itself stops at 4,300, with a message about its own settings
_QUOTED_CHARACTERS = 60  # of a value that is quoted in a message


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a file without its line ending: `number` counts from 1, `offset` is in bytes."""

    path: Path
    number: int
    offset: int
    text: str

    def error(self, reason: str) -> InputError:
        """The error to raise about this line."""
        return bad_line(self.path, self.number, reason)


def bad_line(path: Path, number: int, reason: str) -> InputError:
    """The error to raise about a line of a file."""
    return InputError(f"{path}, line {number}: {reason}")


def quoted(value: str) -> str:
    """A user's value for a message: printable, and never longer than a message can bear."""
    return repr(value if len(value) <= _QUOTED_CHARACTERS else value[:_QUOTED_CHARACTERS] + "…")


def read_lines(path: Path) -> Iterator[Line]:
    """Yield the lines that are not blank. LF and CRLF end a line; a UTF-8 byte order mark is skipped.

    Raises InputError for a file that is missing or not readable, not UTF-8, or has a line over MAX_LINE_BYTES.
    """
    with _opened(path) as stream:
        offset = _skip_mark(path, stream.peek(4)[:4])
        stream.seek(offset)
        number = 0
        while raw := stream.readline(MAX_LINE_BYTES + 1):
            number += 1
            text = _decode(path, number, raw)
            if text and not text.isspace():
                yield Line(path, number, offset, text)
            offset += len(raw)


def count_lines(path: Path) -> int:
    """Number of lines, blank ones too, for a progress bar: some 1 GB/s. Raises InputError as `read_lines`."""
    count, block = 0, b"\n"
    with _opened(path) as stream:
        while chunk := stream.read(_BLOCK):
            count, block = count + chunk.count(b"\n"), chunk
    return count + (not block.endswith(b"\n"))


def line_at(path: Path, offset: int) -> Line:
    """The line that starts at a byte offset, as `read_lines` gave it; its number is not known and 0.

    Opens the file each time (some 15 µs), so that threads and forked loaders can share the caller.
    """
    with path.open("rb") as stream:
        stream.seek(offset)
        return Line(path, 0, offset, _decode(path, 0, stream.readline(MAX_LINE_BYTES + 1)))


def parse_object(line: Line) -> dict[str, Any]:
    """Read a line as one JSON object.

    Raises InputError for broken or cut JSON, another value than an object, a key twice, NaN and infinities, a
    number too long to read and nesting too deep to read.
    """
    try:
        value = _DECODER.decode(line.text)
    except json.JSONDecodeError as error:
        raise line.error(_broken(line, error)) from None
    except RecursionError:
        raise line.error("the JSON is nested too deeply; a row is one flat object") from None
    except ValueError as error:
        raise line.error(str(error)) from None
    if not isinstance(value, dict):
        raise line.error(f"a row must be a JSON object in braces, not {_kind(value)}")
    return value


def parse_id(line: Line, value: object, name: str) -> str:
    """Read an id. Whole numbers count as text.

    Raises InputError when it is missing, empty, no text, over MAX_ID_CHARACTERS, or holds a tab, a newline, another
    control character, or spaces at an end.
    """
    if value is None:
        raise line.error(f"{name} is missing")
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise line.error(f"{name} must be text, not {_kind(value)}")
    if problem := id_problem(value):
        raise line.error(f"{name} {problem}")
    return value


def id_problem(value: str) -> str:
    """What is wrong with an id, as the end of a sentence; empty when it is good."""
    if not value.strip():
        return "is empty"
    if len(value) > MAX_ID_CHARACTERS:
        return f"has {len(value)} characters; at most {MAX_ID_CHARACTERS} are allowed"
    if _CONTROL.search(value):
        return f"{quoted(value)} holds a tab, a newline or another control character"
    if value != value.strip():
        return f"{quoted(value)} begins or ends with a space"
    return ""


def parse_text(line: Line, row: dict[str, Any], name: str) -> tuple[str, int]:
    """Read a text of a row; null counts as empty. Returns it clean, and how many characters were replaced."""
    value = row[name]
    if value is None:
        return "", 0
    if not isinstance(value, str):
        raise line.error(f"{name} must be text, not {_kind(value)}")
    return clean_text(value)


def clean_text(text: str) -> tuple[str, int]:
    """Replace NUL and lone surrogates by U+FFFD. Returns the text and how many characters were replaced."""
    if text.isascii() and "\0" not in text:  # 20 times as fast as the search, and true of most English text
        return text, 0
    return _UNSTORABLE.subn(REPLACEMENT, text)


@contextmanager
def _opened(path: Path) -> Iterator[BufferedReader]:
    try:
        with path.open("rb") as stream:
            yield stream
    except FileNotFoundError:
        raise InputError(f"{path} is missing") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error


def _skip_mark(path: Path, head: bytes) -> int:
    # Text in UTF-16 without a mark still gives itself away: one of its first two bytes is NUL.
    if head.startswith(_WIDE_MARKS) or (len(head) > 1 and 0 in head[:2]):
        raise bad_line(path, 1, "the file is in UTF-16 or UTF-32; save it as UTF-8")
    return len(_UTF8_MARK) if head.startswith(_UTF8_MARK) else 0


def _decode(path: Path, number: int, raw: bytes) -> str:
    if len(raw) > MAX_LINE_BYTES:
        raise bad_line(path, number, f"longer than {MAX_LINE_BYTES >> 20} MiB; a row is one line of text")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        byte = f"byte 0x{raw[error.start]:02x} at position {error.start + 1}"
        raise bad_line(path, number, f"not UTF-8 ({byte}); save the file as UTF-8") from None
    return text.removesuffix("\n").removesuffix("\r")


def _broken(line: Line, error: json.JSONDecodeError) -> str:
    if "\r" in line.text:
        return "lines must end in LF or CRLF; this one holds a CR alone"
    where = f"{error.msg}, column {error.colno} of {len(line.text)}"
    return f"cut short or not JSON ({where}); a row is one JSON object on one line"


def _kind(value: object) -> str:
    kinds = {dict: "an object", list: "an array", str: "text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {quoted(twice)} stands twice in one object")
    return row


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a value that JSON allows")


def _whole(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError(f"a number has {len(digits)} digits; at most {_MAX_DIGITS} are read")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"the number {quoted(digits)} is too large")
    return number


# strict=False admits raw control characters within a text: a NUL is replaced and counted, not a reason to refuse.
_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique_keys,
    parse_int=_whole,
    parse_float=_finite,
    parse_constant=_refuse_constant,
    strict=False,
)
