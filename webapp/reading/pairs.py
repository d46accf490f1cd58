"""Labelled pairs in a file of a person: CSV, TSV, JSON lines, or qrels beside queries. Rows or problems, one by one.

The columns are those of sptar_engine.data.pairs. A row without a document is a question that is still to be judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import Any

from sptar_engine.data.beir import SPLITS
from sptar_engine.data.judgements import HEADER, parse_grade
from sptar_engine.data.lines import Line, clean_text, parse_id, parse_object, quoted
from sptar_engine.errors import InputError
from webapp.downloads import restored_cell
from webapp.reading.rows import Problem, shorten
from webapp.reading.tables import Record, read_records
from webapp.reading.text_lines import TextLine

COLUMNS = "query, doc_id and, where wanted, grade, split, query_id"
_NAMES = {
    "query": ("query", "question", "text", "query_text"),
    "doc_id": ("doc_id", "docid", "document", "document_id", "corpus-id", "corpus_id", "pid"),
    "grade": ("grade", "score", "relevance", "label", "rating"),
    "split": ("split",),
    "query_id": ("query_id", "query-id", "qid"),
}
_MAX_QUERY = 2000  # characters
_DEFAULT_GRADE = 1
_SPLIT_WORDS = {"training": "train", "held-out": "dev", "heldout": "dev", "valid": "dev", "validation": "dev"}
_FILE = Path("file")  # the engine's messages begin with a path, which is cut off again


class Reason(StrEnum):
    """Why a row is left out, in the words of the counts on the page."""

    BROKEN = "Not a row that can be read"
    QUERY = "Question empty or too long"
    ID = "Missing or unusable id"
    GRADE = "Grade that is no whole number"
    SPLIT = "Unknown split"
    NO_QUERY = "Question that is not in the file of questions"
    NO_DOCUMENT = "Document that is not in this project"
    SAME = "Same row twice"
    KNOWN = "Judged so already"
    GRADES = "Grade differs from another one for the same pair"
    SPLITS = "Question in two splits"
    TEXTS = "Question id with two texts"
    IS_DOCUMENT = "Question that is the text of its document"


@dataclass(frozen=True, slots=True)
class PairRow:
    """A row that can be used as far as the file tells. Empty: `doc_id`, `split`, `query_id`, where there is none."""

    line: int
    query: str
    doc_id: str
    grade: int
    split: str
    query_id: str


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that is left out."""

    line: int
    reason: Reason
    sentence: str
    excerpt: str = ""


Found = PairRow | BadRow


def read_table(lines: Iterator[TextLine], delimiter: str) -> Iterator[Found]:
    """Read CSV or TSV with a header. Raises InputError when no column is named query."""
    records = read_records(lines, delimiter)
    header = next((record for record in records if isinstance(record, Record)), None)
    columns = _columns(header.cells if header else [])
    for record in records:
        if isinstance(record, Problem):
            yield BadRow(record.line, Reason.BROKEN, record.reason, record.excerpt)
        elif len(record.cells) < len(columns) or any(cell.strip() for cell in record.cells[len(columns) :]):
            sentence = f"{len(record.cells)} cells where the header has {len(columns)} columns"
            yield BadRow(record.line, Reason.BROKEN, sentence, shorten(" ".join(record.cells)))
        else:
            cells = {name: restored_cell(cell) for name, cell in zip(columns, record.cells, strict=False) if name}
            yield _pair(record.line, cells)


def read_jsonl(lines: Iterator[TextLine]) -> Iterator[Found]:
    """Read one JSON object a line."""
    for line in lines:
        if line.problem:
            yield BadRow(line.number, Reason.BROKEN, line.problem.reason, line.problem.excerpt)
        elif line.text and not line.text.isspace():
            yield _json_row(line)


def read_qrels(lines: Iterator[TextLine], queries: Mapping[str, str], split: str = "") -> Iterator[Found]:
    """Read BEIR's three columns with a header, or TREC's four, for questions by id."""
    lines = (line for line in lines if line.problem or not (not line.text or line.text.isspace()))
    first = next(lines, None)
    if first is None:
        return
    has_header = tuple(cell.strip().lower() for cell in first.text.split("\t")) == HEADER
    is_trec = not has_header and len(first.text.split()) == 4
    for line in lines if has_header else chain([first], lines):
        if line.problem:
            yield BadRow(line.number, Reason.BROKEN, line.problem.reason, line.problem.excerpt)
        else:
            yield _judged(line, is_trec, queries, split)


def read_queries(lines: Iterator[TextLine]) -> tuple[dict[str, str], list[BadRow]]:
    """Questions by id: BEIR's queries.jsonl (`_id`, `text`), or id TAB text."""
    found: dict[str, str] = {}
    bad: list[BadRow] = []
    for line in lines:
        if line.problem:
            bad.append(BadRow(line.number, Reason.BROKEN, line.problem.reason, line.problem.excerpt))
        elif line.text and not line.text.isspace():
            try:
                query_id, text = _query_line(line)
            except InputError as error:
                bad.append(BadRow(line.number, Reason.BROKEN, _sentence(error), shorten(line.text)))
            else:
                found.setdefault(query_id, text)
    return found, bad


def _columns(header: list[str]) -> list[str]:
    """What each column is; empty for one that is not used."""
    names = [cell.strip().lower().lstrip("\ufeff") for cell in header]
    columns = [""] * len(names)
    for role, known in _NAMES.items():
        place = next((names.index(name) for name in known if name in names), None)
        if place is not None and not columns[place]:
            columns[place] = role
    if "query" not in columns:
        raise InputError(f"One column must be named query; the columns are {COLUMNS}. Found: {', '.join(names[:10])}.")
    return columns


def _json_row(line: TextLine) -> Found:
    try:
        row = parse_object(_engine_line(line))
    except InputError as error:
        return BadRow(line.number, Reason.BROKEN, _sentence(error), shorten(line.text))
    return _pair(line.number, {role: _first(row, names) for role, names in _NAMES.items()})


def _first(row: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)


def _judged(line: TextLine, is_trec: bool, queries: Mapping[str, str], split: str) -> Found:
    cells = line.text.split() if is_trec else [cell.strip() for cell in line.text.split("\t")]
    expected = 4 if is_trec else 3
    if len(cells) != expected:
        columns = "query 0 document grade" if is_trec else " TAB ".join(HEADER)
        sentence = f"{len(cells)} columns where {expected} are needed: {columns}"
        return BadRow(line.number, Reason.BROKEN, sentence, shorten(line.text))
    if cells[0] not in queries:
        sentence = f"the question {quoted(cells[0])} is not in the file of questions"
        return BadRow(line.number, Reason.NO_QUERY, sentence, shorten(line.text))
    row = {"query": queries[cells[0]], "doc_id": cells[-2], "grade": cells[-1], "split": split, "query_id": cells[0]}
    return _pair(line.number, row)


def _query_line(line: TextLine) -> tuple[str, str]:
    engine_line = _engine_line(line)
    if line.text.lstrip().startswith("{"):
        row = parse_object(engine_line)
        return parse_id(engine_line, row.get("_id", row.get("query_id")), "_id"), str(row.get("text") or "")
    query_id, tab, text = line.text.partition("\t")
    if not tab:
        raise engine_line.error('a question is {"_id": …, "text": …}, or its id, a tab and its text')
    return parse_id(engine_line, query_id.strip(), "the id"), text


def _pair(number: int, cells: Mapping[str, Any]) -> Found:
    """Check one row, cell by cell."""
    line = Line(_FILE, number, 0, "")
    reason, excerpt = Reason.QUERY, shorten(str(cells.get("query") or ""))
    try:
        query = _query(line, cells.get("query"))
        reason = Reason.ID
        doc_id = "" if _is_empty(cells.get("doc_id")) else parse_id(line, _stripped(cells["doc_id"]), "doc_id")
        given = cells.get("query_id")
        query_id = "" if _is_empty(given) else parse_id(line, _stripped(given), "query_id")
        reason = Reason.GRADE
        grade = _DEFAULT_GRADE if _is_empty(cells.get("grade")) else parse_grade(line, _number(cells["grade"]))
        reason = Reason.SPLIT
        split = _split(line, cells.get("split"))
    except InputError as error:
        return BadRow(number, reason, _sentence(error), excerpt)
    return PairRow(number, query, doc_id, grade, split, query_id)


def _query(line: Line, value: object) -> str:
    if value is not None and not isinstance(value, str):
        raise line.error("the question must be text")
    text = " ".join(clean_text(value or "")[0].split())
    if not text:
        raise line.error("the question is empty")
    if len(text) > _MAX_QUERY:
        raise line.error(f"the question has {len(text)} characters; at most {_MAX_QUERY} are kept")
    return text


def _split(line: Line, value: object) -> str:
    given = str(value or "").strip().lower()
    split = _SPLIT_WORDS.get(given, given)
    if split and split not in SPLITS:
        raise line.error(f"the split {quoted(given)} is not one of {', '.join(SPLITS)}")
    return split


def _number(value: object) -> str:
    """A grade as text: spreadsheets write 2 as 2.0."""
    return str(value).strip().removesuffix(".0")


def _stripped(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _engine_line(line: TextLine) -> Line:
    return Line(_FILE, line.number, 0, line.text)


def _sentence(error: InputError) -> str:
    return str(error).partition(": ")[2]
