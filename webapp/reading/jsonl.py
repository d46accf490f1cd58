"""JSON lines: one object a line, as BEIR's corpus.jsonl has them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from sptar_engine.data.lines import Line, parse_id, parse_object, parse_text, quoted
from sptar_engine.errors import InputError
from webapp.reading.rows import Found, Group, Problem, make_row, shorten
from webapp.reading.text_lines import TextLine, text_lines

ID_KEYS = ("_id", "id", "doc_id", "docid")
TEXT_KEYS = ("text", "contents", "content", "body", "passage")

_FILE = Path("file")  # the engine's messages begin with a path, which is cut off again


def read_jsonl(blocks: Iterable[bytes], encoding: str, place: str = "") -> Iterator[Found]:
    """Yield what each line holds; blank lines are skipped."""
    for line in text_lines(blocks, encoding):
        if line.problem:
            yield replace(line.problem, place=place)
        elif line.text and not line.text.isspace():
            yield _read(line, place)


def _read(line: TextLine, place: str) -> Found:
    engine_line = Line(_FILE, line.number, 0, line.text)
    group = Group.BROKEN
    try:
        row = parse_object(engine_line)
        group = Group.ID
        key = _key(row, ID_KEYS)
        doc_id = parse_id(engine_line, row.get(key), key)
        group = Group.TYPE
        text_key = _key(row, TEXT_KEYS)
        if text_key not in row:
            reason = f"the document {quoted(doc_id)} has no text; a row is _id, title, text"
            return Problem(line.number, Group.EMPTY, reason, shorten(line.text), place)
        text = _raw_text(engine_line, row, text_key)
        title = _raw_text(engine_line, row, "title") if "title" in row else ""
    except InputError as error:
        return Problem(line.number, group, _without_place(error), shorten(line.text), place)
    return make_row(line.number, doc_id, title, text, place)


def _key(row: dict[str, Any], names: tuple[str, ...]) -> str:
    return next((name for name in names if name in row), names[0])


def _raw_text(line: Line, row: dict[str, Any], name: str) -> str:
    parse_text(line, row, name)  # says what is wrong with it; make_row cleans and counts
    return row[name] or ""


def _without_place(error: InputError) -> str:
    return str(error).partition(": ")[2]
