"""Labelled pairs in one table, CSV, TSV or JSONL, in place of queries.jsonl and qrels."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from sptar_engine.data.beir import SPLITS
from sptar_engine.data.judgements import Judgement, parse_grade
from sptar_engine.data.lines import Line, clean_text, parse_id, parse_object, quoted, read_lines
from sptar_engine.data.query_text import normalised
from sptar_engine.errors import InputError
from sptar_engine.records import Query

PAIRS_FILES = ("pairs.csv", "pairs.tsv", "pairs.jsonl")
COLUMNS = "query, doc_id and, where wanted, grade, split, query_id"
_DEFAULT_GRADE = "1"
_ID_DIGITS = 16  # hex digits of the id made from a query's text: 64 bits


@dataclass(frozen=True, slots=True)
class LabelledPair:
    """One row. `split` is empty where the table leaves the splits to us."""

    query: Query
    judgement: Judgement
    split: str


def find_pairs(folder: Path) -> Path | None:
    """The pairs file of a dataset folder, or None. Raises InputError when there are several."""
    found = [folder / name for name in PAIRS_FILES if (folder / name).exists()]
    if len(found) > 1:
        raise InputError(f"{folder} has {' and '.join(path.name for path in found)}; keep one of them")
    return found[0] if found else None


def read_pairs(path: Path) -> list[LabelledPair]:
    """Read a table with the columns query, doc_id and, where wanted, grade (else 1), split and query_id.

    Other columns are ignored. Without a query_id, rows with the same normalised text are one query, and its id comes
    from that text. Raises InputError for a missing column, a bad cell, a query_id with two texts, and a table that
    names splits in some rows only.
    """
    rows = _json_rows(path) if path.suffix == ".jsonl" else _table_rows(path)
    pairs = [_parse(line, row) for line, row in rows]
    if not pairs:
        raise InputError(f"{path} holds no pair; its columns are {COLUMNS}")
    _check_splits(pairs)
    _check_texts(pairs)
    return pairs


def _json_rows(path: Path) -> Iterator[tuple[Line, Mapping[str, Any]]]:
    return ((line, parse_object(line)) for line in read_lines(path))


def _table_rows(path: Path) -> Iterator[tuple[Line, Mapping[str, Any]]]:
    rows = _table_cells(path)
    header_line, header = next(rows, (Line(path, 1, 0, ""), []))
    names = [name.strip().lower() for name in header]
    for needed in ("query", "doc_id"):
        if names.count(needed) != 1:
            raise header_line.error(f"one column must be named {needed}; the columns are {COLUMNS}, not {names}")
    for line, cells in rows:
        if len(cells) != len(names):
            raise line.error(f"{len(cells)} cells where the header has {len(names)} columns")
        yield line, dict(zip(names, cells, strict=True))


def _table_cells(path: Path) -> Iterator[tuple[Line, list[str]]]:
    """Yield rows with their first line; a quoted cell may go over several lines."""
    consumed: list[Line] = []

    def feed() -> Iterator[str]:
        for line in read_lines(path):
            consumed.append(line)
            yield line.text + "\n"

    reader = csv.reader(feed(), delimiter=_delimiter(path), strict=True)
    while True:
        consumed.clear()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # A quote left open swallows the rest of the file, up to the csv module's 131,072 characters a cell.
            raise consumed[0].error(f"not a row of the table ({error}); is a quotation mark left open?") from None
        yield consumed[0], cells


def _delimiter(path: Path) -> str:
    if path.suffix == ".tsv":
        return "\t"
    # Spreadsheets of half of Europe write a semicolon into their CSV files.
    header = next((line.text for line in read_lines(path)), "")
    return ";" if ";" in header and "," not in header else ","


def _parse(line: Line, row: Mapping[str, Any]) -> LabelledPair:
    query = _query(line, row)
    doc_id = parse_id(line, _cell(row, "doc_id"), "doc_id")
    grade = parse_grade(line, str(_cell(row, "grade") or _DEFAULT_GRADE))
    return LabelledPair(query, Judgement(line.path, line.number, query.query_id, doc_id, grade), _split(line, row))


def _query(line: Line, row: Mapping[str, Any]) -> Query:
    if "query" not in row:
        raise line.error(f"query is missing; the columns are {COLUMNS}")
    if not isinstance(row["query"], str):
        raise line.error("query must be text")
    text = " ".join(clean_text(row["query"])[0].split())
    if not text:
        raise line.error("query is empty")
    given = _cell(row, "query_id")
    if given is not None:
        return Query(parse_id(line, given, "query_id"), text)
    return Query("q" + sha256(normalised(text).encode()).hexdigest()[:_ID_DIGITS], text)


def _split(line: Line, row: Mapping[str, Any]) -> str:
    split = _cell(row, "split")
    if split is not None and split not in SPLITS:
        raise line.error(f"the split {quoted(str(split))} is not one of {', '.join(SPLITS)}")
    return split or ""


def _cell(row: Mapping[str, Any], name: str) -> Any:
    """A cell without the spaces around it; None where it is absent or empty."""
    value = row.get(name)
    return value.strip() or None if isinstance(value, str) else value


def _check_splits(pairs: list[LabelledPair]) -> None:
    for pair in pairs:
        if bool(pair.split) != bool(pairs[0].split):
            has, first_has = ("a split", "none") if pair.split else ("no split", "one")
            raise pair.judgement.error(f"has {has} where the first row has {first_has}; give every row a split or none")


def _check_texts(pairs: list[LabelledPair]) -> None:
    first: dict[str, LabelledPair] = {}
    for pair in pairs:
        other = first.setdefault(pair.query.query_id, pair)
        if normalised(other.query.text) != normalised(pair.query.text):
            raise pair.judgement.error(
                f"the query_id {quoted(pair.query.query_id)} has another query on line {other.judgement.line}"
            )
