"""Lines of text out of blocks of bytes, whatever encoding and line ends they have; one bad line spoils no other."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from sptar_engine.data.lines import MAX_LINE_BYTES
from webapp.reading.rows import Group, Problem, shorten

ENCODINGS = {
    "utf-8": "UTF-8 (the usual one)",
    "utf-16": "UTF-16 (“Unicode text” of Excel)",
    "latin-1": "Latin-1 / Windows-1252 (Western European)",
}

_UTF8_MARK = b"\xef\xbb\xbf"
_WIDE = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_HEAD = 1 << 16  # bytes that a guess looks at


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line without its end, numbered from 1. `problem` is set where it cannot be read, and `text` is then empty."""

    number: int
    text: str
    problem: Problem | None = None


def text_lines(blocks: Iterable[bytes], encoding: str) -> Iterator[TextLine]:
    """Yield all lines, blank ones too. LF, CRLF and, in files without any LF at their beginning, CR end a line."""
    stream = iter(blocks)
    first = next(stream, b"")
    blocks = chain([first], stream)
    if encoding == "utf-16":
        blocks = _narrow(blocks, wide_codec(first) or "utf-16-le")
        first = next(blocks, b"")
        blocks = chain([first], blocks)
    elif first.startswith(_UTF8_MARK):
        blocks = chain([first[len(_UTF8_MARK) :]], stream)
    end = b"\r" if b"\n" not in first and b"\r" in first else b"\n"
    for number, raw in enumerate(_split(blocks, end), 1):
        yield _line(number, raw, encoding)


def guess_encoding(head: bytes) -> str:
    """The encoding of a text by its beginning: a key of ENCODINGS."""
    if wide_codec(head):
        return "utf-16"
    try:
        # The last bytes may be half a character.
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"


def wide_codec(head: bytes) -> str:
    """Which UTF-16 a text is in, by its mark or by where its first NUL is; empty when it is none."""
    if head[:2] in _WIDE:
        return _WIDE[head[:2]]
    if len(head) > 1 and 0 in head[:2] and head[0] != head[1]:
        return "utf-16-le" if head[1] == 0 else "utf-16-be"
    return ""


def decode(raw: bytes, encoding: str) -> str:
    """Decode one line. Raises UnicodeDecodeError for what is not UTF-8; any bytes are Latin-1."""
    if encoding != "latin-1":
        return raw.decode("utf-8")
    try:
        return raw.decode("cp1252")
    except UnicodeDecodeError:  # five bytes mean nothing in Windows-1252
        return raw.decode("latin-1")


def _narrow(blocks: Iterable[bytes], codec: str) -> Iterator[bytes]:
    """UTF-16 as UTF-8, so that lines can be found in its bytes. Lone halves of a character become U+FFFD."""
    decoder = codecs.getincrementaldecoder(codec)(errors="replace")
    is_first = True
    for block in blocks:
        text = decoder.decode(block)
        yield (text.removeprefix("\ufeff") if is_first else text).encode()
        is_first = False
    yield decoder.decode(b"", True).encode()


def _split(blocks: Iterable[bytes], end: bytes) -> Iterator[bytes | None]:
    """Lines between ends; None for one that is too long, of which no more than the limit is ever held."""
    parts: list[bytes] = []
    held, too_long = 0, False
    for block in blocks:
        *whole, rest = block.split(end)
        for piece in whole:
            yield None if too_long or held + len(piece) > MAX_LINE_BYTES else b"".join([*parts, piece])
            parts, held, too_long = [], 0, False
        too_long = too_long or held + len(rest) > MAX_LINE_BYTES
        if too_long:
            parts = []
        else:
            parts.append(rest)
        held += len(rest)
    if too_long:
        yield None
    elif held:
        yield b"".join(parts)


def _line(number: int, raw: bytes | None, encoding: str) -> TextLine:
    if raw is None:
        reason = f"longer than {MAX_LINE_BYTES >> 20} MiB; a row is one document"
        return TextLine(number, "", Problem(number, Group.LONG, reason))
    try:
        return TextLine(number, decode(raw, encoding).removesuffix("\r"))
    except UnicodeDecodeError as error:
        reason = f"not UTF-8 (byte 0x{raw[error.start]:02x} at position {error.start + 1})"
        excerpt = shorten(raw[:400].decode("latin-1"))
        return TextLine(number, "", Problem(number, Group.ENCODING, reason, excerpt))
