"""Long documents cut at paragraphs into pieces of about 200 words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256

from sptar_engine.data.lines import MAX_ID_CHARACTERS

WORDS = 200
"""Words of a piece: what an encoder with a window of 256 tokens reads to its end."""

_LEAST = 40  # words; a shorter rest goes to the piece before it
_PARAGRAPH = re.compile(r"\n[ \t]*\n\s*")
_SENTENCE = re.compile(r"(?<=[.!?…])\s+|(?<=[\u3002\uff01\uff1f])")
# Scripts without spaces between words: a character counts as a word, as it does for the encoder.
_WIDE = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]")
_NUMBERED = re.compile(r"(#+)\d+\Z")
_NUMBER_ROOM = 12  # characters of an id for the separator and the number


def size(text: str) -> int:
    """Length in words."""
    words = len(text.split())
    return words if text.isascii() else words + len(_WIDE.findall(text))


def cut(text: str) -> list[str]:
    """The pieces of a text, in order; one when it is short. Nothing but white space between pieces is lost."""
    if size(text) <= WORDS:
        return [text]
    pieces: list[str] = []
    held, words = "", 0
    for part, joint in _parts(text):
        length = size(part)
        if held and words + length > WORDS:
            pieces.append(held)
            held, words = "", 0
        held = f"{held}{joint}{part}" if held else part
        words += length
    if held and pieces and words < _LEAST:
        pieces[-1] = f"{pieces[-1]}\n\n{held}"
    elif held:
        pieces.append(held)
    return pieces


def separator_after(longest: int) -> str:
    """What stands between a document's id and its piece's number: `#`, longer than any such thing in an id itself."""
    return "#" * (longest + 1)


def number_marks(doc_id: str) -> int:
    """How many `#` stand before a number at the end of an id; 0 for most."""
    found = _NUMBERED.search(doc_id)
    return len(found[1]) if found else 0


def piece_id(doc_id: str, separator: str, number: int) -> str:
    """The id of a piece. A very long id is shortened, with a hash that keeps it apart from others."""
    if len(doc_id) > MAX_ID_CHARACTERS - _NUMBER_ROOM - len(separator):
        digest = sha256(doc_id.encode()).hexdigest()[:16]
        doc_id = f"{doc_id[: MAX_ID_CHARACTERS - _NUMBER_ROOM - len(separator) - 20]}~{digest}"
    return f"{doc_id}{separator}{number}"


def _parts(text: str) -> Iterator[tuple[str, str]]:
    """Paragraphs, or sentences or runs of words of those that are too long; each with what joins it to the last."""
    for paragraph in _PARAGRAPH.split(text.strip()):
        if size(paragraph) <= WORDS:
            yield paragraph, "\n\n"
            continue
        joint = "\n\n"
        for sentence in _SENTENCE.split(paragraph):
            for run in _runs(sentence):
                yield run, joint
                joint = " "


def _runs(sentence: str) -> Iterator[str]:
    if size(sentence) <= WORDS:
        if sentence.strip():
            yield sentence
        return
    words = sentence.split()
    if len(words) > 1 and not _WIDE.search(sentence):
        for start in range(0, len(words), WORDS):
            yield " ".join(words[start : start + WORDS])
        return
    for start in range(0, len(sentence), WORDS):
        yield sentence[start : start + WORDS]
