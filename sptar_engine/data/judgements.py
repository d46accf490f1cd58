"""Relevance judgements in a file: BEIR's three columns with a header, or TREC's four without."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sptar_engine.data.lines import Line, parse_id, quoted, read_lines
from sptar_engine.errors import InputError
from sptar_engine.records import Qrels

HEADER = ("query-id", "corpus-id", "score")
MAX_GRADE = 100
"""Grades lie within ±100; TREC uses negative ones for spam."""

_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Judgement:
    """One judged pair and the line of `path` that it comes from, for messages."""

    path: Path
    line: int
    query_id: str
    doc_id: str
    grade: int

    def error(self, reason: str) -> InputError:
        """The error to raise about this judgement."""
        return InputError(f"{self.path}, line {self.line}: {reason}")


def read_judgements(path: Path) -> list[Judgement]:
    """Read a qrels file. A pair that comes twice with the same grade counts once.

    Raises InputError for a wrong header or number of columns, a bad id, a grade that is no whole number within
    ±MAX_GRADE, and a pair with two different grades.
    """
    return list(unique_judgements(_read(path)))


def unique_judgements(judgements: Iterable[Judgement]) -> Iterator[Judgement]:
    """Yield each judged pair once. Raises InputError, naming both lines, for a pair with two different grades."""
    seen: dict[tuple[str, str], Judgement] = {}
    for judgement in judgements:
        first = seen.setdefault((judgement.query_id, judgement.doc_id), judgement)
        if first is judgement:
            yield judgement
        elif first.grade != judgement.grade:
            pair = f"query {quoted(judgement.query_id)}, document {quoted(judgement.doc_id)}"
            raise judgement.error(f"{pair} has grade {judgement.grade} here and {first.grade} on line {first.line}")


def build_qrels(judgements: Iterable[Judgement]) -> Qrels:
    """The judgements as qrels, in their order."""
    grades: dict[str, dict[str, int]] = {}
    for judgement in judgements:
        grades.setdefault(judgement.query_id, {})[judgement.doc_id] = judgement.grade
    return Qrels(grades)


def parse_grade(line: Line, value: str) -> int:
    """Read a grade. Raises InputError when it is not a whole number within ±MAX_GRADE."""
    if not _WHOLE_NUMBER.fullmatch(value) or abs(int(value)) > MAX_GRADE:
        allowed = f"a whole number from -{MAX_GRADE} to {MAX_GRADE}"
        raise line.error(f"the grade {quoted(value)} is not {allowed}")
    return int(value)


def _read(path: Path) -> Iterator[Judgement]:
    is_trec = False
    for position, line in enumerate(read_lines(path)):
        if position == 0:
            if tuple(cell.strip().lower() for cell in line.text.split("\t")) == HEADER:
                continue
            is_trec = len(line.text.split()) == 4
            if not is_trec:
                raise line.error(f"the first line must be {' TAB '.join(HEADER)}, or TREC's query 0 document grade")
        yield _parse(line, is_trec)


def _parse(line: Line, is_trec: bool) -> Judgement:
    cells = line.text.split() if is_trec else [cell.strip() for cell in line.text.split("\t")]
    expected = 4 if is_trec else 3
    if len(cells) != expected:
        columns = "query 0 document grade" if is_trec else " TAB ".join(HEADER)
        raise line.error(f"{len(cells)} columns where {expected} are needed: {columns}")
    query_id, doc_id = parse_id(line, cells[0], "the query id"), parse_id(line, cells[-2], "the document id")
    return Judgement(line.path, line.number, query_id, doc_id, parse_grade(line, cells[-1]))
