"""CSV and TSV: records of cells, and which column is what."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sptar_engine.data.lines import MAX_LINE_BYTES
from webapp.reading.rows import Found, Group, Problem, make_row, shorten
from webapp.reading.text_lines import TextLine, text_lines

DELIMITERS = {",": "Comma", ";": "Semicolon", "\t": "Tab", "|": "Vertical bar"}
ROLES = {"": "do not use", "id": "id", "title": "title", "text": "text"}

_RECORD_LINES = 2000  # a cell that goes over more lines is a quotation mark that was left open
_LOOK_AGAIN = 1_000_000  # lines in all that are read a second time behind such a mark

# A document in a cell may be longer than the 131,072 characters that the module allows unless told.
csv.field_size_limit(MAX_LINE_BYTES)


@dataclass(frozen=True, slots=True)
class Record:
    """The cells of one row and the line it begins on."""

    line: int
    cells: list[str]


def read_table(
    blocks: Iterable[bytes], *, encoding: str, delimiter: str, header: bool, roles: Sequence[str]
) -> Iterator[Found]:
    """Yield a row or a problem for each record. `roles` says for each column what it is, a key of ROLES.

    Several text columns are joined by an empty line. Without an id column a row is named by its line: `row-12`.
    """
    for position, record in enumerate(read_records(text_lines(blocks, encoding), delimiter)):
        if isinstance(record, Problem):
            yield record
        elif not (header and position == 0):
            yield _row(record, roles)


def read_records(lines: Iterator[TextLine], delimiter: str) -> Iterator[Record | Problem]:
    """Yield records; empty ones are skipped. What cannot be read is a problem, and reading goes on at the next line."""
    feed = _Feed(lines)
    reader = csv.reader(feed, delimiter=delimiter, strict=True)
    while True:
        feed.taken.clear()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except _UnreadableLine as error:
            yield error.problem
            feed.rewind(skip_last=True)
        except csv.Error as error:
            first = feed.taken[0]
            reason = f"not a row of the table ({error}); is a quotation mark left open?"
            yield Problem(first.number, Group.BROKEN, reason, shorten(first.text))
            feed.rewind()
        else:
            if any(cell.strip() for cell in cells):
                yield Record(feed.taken[0].number, cells)


class _UnreadableLine(Exception):
    """A line that could not be decoded stands in the way."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.reason)
        self.problem = problem


class _Feed:
    """Hands lines to the csv module, remembers those of the record at hand, and can take them back."""

    def __init__(self, lines: Iterator[TextLine]) -> None:
        self._lines = lines
        self._again: deque[TextLine] = deque()
        self._budget = _LOOK_AGAIN
        self.taken: list[TextLine] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self.taken.append(line)
        if line.problem:
            raise _UnreadableLine(line.problem)
        if len(self.taken) > _RECORD_LINES:
            raise csv.Error(f"it goes over more than {_RECORD_LINES} lines")
        return line.text + "\n"

    def rewind(self, skip_last: bool = False) -> None:
        """Read again behind the first line of a record that went wrong, unless that has been done too often."""
        lines = self.taken[1:-1] if skip_last else self.taken[1:]
        self._budget -= len(lines)
        if self._budget > 0:
            self._again.extendleft(reversed(lines))


def _row(record: Record, roles: Sequence[str]) -> Found:
    cells = record.cells
    while len(cells) > len(roles) and not cells[-1].strip():
        cells = cells[:-1]
    if len(cells) != len(roles):
        reason = f"{len(cells)} cells where the table has {len(roles)} columns"
        return Problem(record.line, Group.BROKEN, reason, shorten(" ".join(cells)))
    parts = {role: [cell for cell, its in zip(cells, roles, strict=True) if its == role] for role in ROLES if role}
    doc_id = parts["id"][0].strip() if parts["id"] else f"row-{record.line}"
    title = parts["title"][0] if parts["title"] else ""
    return make_row(record.line, doc_id, title, "\n\n".join(text for text in parts["text"] if text.strip()))
