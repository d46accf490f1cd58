"""Examples as a file that the import reads: `csv` for spreadsheets, `jsonl` exact."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator

from webapp.downloads import EchoFile, exact_cell
from webapp.selectors.examples import Pair

FORMATS = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson; charset=utf-8"}
"""The kinds of file and their content types."""

_COLUMNS = ("query", "doc_id", "grade", "split", "query_id", "status", "note")


def lines_of(pairs: Iterator[Pair], kind: str) -> Iterator[str]:
    """The lines of a file of this kind."""
    return _csv_lines(pairs) if kind == "csv" else _jsonl_lines(pairs)


def _csv_lines(pairs: Iterator[Pair]) -> Iterator[str]:
    writer = csv.writer(EchoFile())
    yield "\ufeff" + writer.writerow(_COLUMNS)  # type: ignore[operator]  # EchoFile gives the line back
    for pair in pairs:
        yield writer.writerow([exact_cell(str(value)) for value in _values(pair).values()])  # type: ignore[misc]  # as above


def _jsonl_lines(pairs: Iterator[Pair]) -> Iterator[str]:
    for pair in pairs:
        row = {name: value for name, value in _values(pair).items() if value != ""}
        yield json.dumps(row, ensure_ascii=False) + "\n"


def _values(pair: Pair) -> dict[str, str | int]:
    query = pair.query
    grade = "" if pair.grade is None else pair.grade
    values = (query.text, pair.doc_id, grade, query.split, query.query_id, query.status, query.note)
    return dict(zip(_COLUMNS, values, strict=True))
