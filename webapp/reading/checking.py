"""The check of an upload: everything is read once; good rows go to corpus.jsonl, every problem to problems.csv."""

from __future__ import annotations

import csv
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from sptar_engine.data.beir import CORPUS_FILE, write_corpus
from sptar_engine.data.fingerprints import FingerprintTable, fingerprint
from sptar_engine.data.lines import quoted
from sptar_engine.records import Document
from webapp.downloads import safe_cell
from webapp.reading import chunks
from webapp.reading.rows import Found, Group, Problem, Row, shorten

PROBLEMS_FILE = "problems.csv"
SHOWN = 50
"""Problems that the page shows; the report has all."""


@dataclass(slots=True)
class Findings:
    """What a check found. `long` and `pieces` say what cutting the long documents would make of them."""

    good: int = 0
    bad: int = 0
    changed: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    problems: list[dict[str, Any]] = field(default_factory=list)
    long: int = 0
    pieces: int = 0
    marks: int = 0

    def measures(self) -> dict[str, Any]:
        """What the page and the import need to know of the good rows."""
        return {"long": self.long, "pieces": self.pieces, "separator": chunks.separator_after(self.marks)}


def check(found: Iterable[Found], folder: Path, on_row: Callable[[Findings], None]) -> Findings:
    """Write corpus.jsonl and problems.csv to `folder`. `on_row` is called for each row, for progress.

    Memory: under 50 bytes a row, for the ids. Two ids are the same when they differ by blanks or Unicode form only.
    """
    findings = Findings()
    target = folder / PROBLEMS_FILE
    with target.open("w", encoding="utf-8-sig", newline="") as stream:
        report = _Report(stream, findings)
        write_corpus(folder, _good(found, findings, report, on_row))
    if not findings.good:
        (folder / CORPUS_FILE).unlink(missing_ok=True)
    return findings


def _good(
    found: Iterable[Found], findings: Findings, report: _Report, on_row: Callable[[Findings], None]
) -> Iterator[Document]:
    ids = FingerprintTable()
    for position, item in enumerate(found, 1):
        row = _twice(item, ids, position) if isinstance(item, Row) else item
        if isinstance(row, Problem):
            report.add(row)
        else:
            _measure(row, findings)
            yield Document(row.doc_id, row.text, row.title)
        on_row(findings)


def _twice(row: Row, ids: FingerprintTable, position: int) -> Found:
    key = " ".join(unicodedata.normalize("NFC", row.doc_id).split())
    # With 8 bytes an id, two of a million different ids are taken for one with a chance of 3 in 100 million.
    place = row.line or position
    first = ids.setdefault(fingerprint(key), place)
    if first == place:
        return row
    alike = "" if key == row.doc_id else ", or one that differs by blanks or Unicode form only,"
    where = f" on line {first}" if row.line else ""
    reason = f"the document id {quoted(row.doc_id)}{alike} was already given{where}"
    return Problem(row.line, Group.TWICE, reason, shorten(row.text), row.place)


def _measure(row: Row, findings: Findings) -> None:
    findings.good += 1
    findings.changed += row.changed
    findings.marks = max(findings.marks, chunks.number_marks(row.doc_id))
    pieces = len(chunks.cut(row.text))
    findings.long += pieces > 1
    findings.pieces += pieces


class _Report:
    """problems.csv, written so that no spreadsheet takes a cell for a formula."""

    def __init__(self, stream: IO[str], findings: Findings) -> None:
        self._findings = findings
        self._writer = csv.writer(stream)
        self._writer.writerow(["file", "line", "problem", "what is wrong", "what to do", "beginning of the row"])

    def add(self, problem: Problem) -> None:
        problem = replace(problem, place=shorten(problem.place), reason=problem.reason[:500])
        cells = [problem.place, problem.line or "", problem.group, problem.reason, problem.fix, problem.excerpt]
        self._writer.writerow([safe_cell(str(cell)) for cell in cells])
        self._findings.bad += 1
        self._findings.counts[str(problem.group)] += 1
        if len(self._findings.problems) < SHOWN:
            self._findings.problems.append(
                {"line": problem.line, "place": problem.place, "reason": problem.reason, "fix": problem.fix,
                 "excerpt": problem.excerpt}
            )  # fmt: skip
