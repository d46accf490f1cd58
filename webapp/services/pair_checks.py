"""Which rows of a file of examples can be used: first among themselves, then against what the project has."""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from django.db.models.functions import Length

from sptar_engine.data.query_text import normalised
from sptar_engine.errors import InputError
from webapp.chunks import chunks
from webapp.models import Document, Project, Query
from webapp.reading.pairs import BadRow, Found, PairRow, Reason
from webapp.selectors.judgements import judgements_of
from webapp.services.queries import text_key

Tick = Callable[[int], None]

MAX_ROWS = 1_000_000
"""Rows of one file: they are held in memory, at some 500 bytes each."""
SHOWN = 10
"""Rows left out that are shown on the page; the report has all."""

_NEAR = 50  # characters by which a document may be longer or shorter than a question that is equal to it but for spaces


@dataclass(slots=True)
class LeftOut:
    """Rows that are left out: how many for each reason, and the first ones by line. Each goes to `tell`."""

    tell: Callable[[BadRow], object] = field(default=lambda bad: None)
    counts: Counter[str] = field(default_factory=Counter)
    first: list[BadRow] = field(default_factory=list)

    def append(self, bad: BadRow) -> None:
        """One more."""
        self.counts[bad.reason.value] += 1
        insort(self.first, bad, key=lambda row: row.line)
        del self.first[SHOWN:]
        self.tell(bad)


@dataclass(slots=True)
class Checked:
    """Rows by the key of their question (webapp.services.queries.text_key), and those that are left out."""

    good: dict[str, list[PairRow]] = field(default_factory=dict)
    bad: LeftOut = field(default_factory=LeftOut)

    @property
    def pairs(self) -> int:
        """Usable rows."""
        return sum(len(rows) for rows in self.good.values())


def among_themselves(rows: Iterable[Found], tick: Tick, bad: LeftOut | None = None) -> Checked:
    """Leave out what contradicts or repeats an earlier row of the same file. Calls `tick` with the number of rows.

    Raises InputError for more rows than are held in memory.
    """
    checked = Checked(bad=bad or LeftOut())
    keys: dict[str, str] = {}  # of a question by its id in the file
    seen: dict[tuple[str, str], PairRow] = {}
    for number, row in enumerate(rows, 1):
        tick(number)
        if number > MAX_ROWS:
            raise InputError(f"The file has more than {MAX_ROWS:,} rows. Split it into several files.")
        if isinstance(row, BadRow):
            checked.bad.append(row)
            continue
        key = text_key(row.query)
        first = seen.get((key, row.doc_id))
        earlier = checked.good.get(key)
        if row.query_id and keys.setdefault(row.query_id, key) != key:
            checked.bad.append(_bad(row, Reason.TEXTS, f"the id “{row.query_id}” stood for another question before"))
        elif earlier and row.split and row.split != earlier[0].split:
            sentence = f"split {row.split}, but {earlier[0].split or 'none'} on line {earlier[0].line}"
            checked.bad.append(_bad(row, Reason.SPLITS, sentence))
        elif first and first.grade == row.grade:
            checked.bad.append(_bad(row, Reason.SAME, f"as on line {first.line}"))
        elif first:
            sentence = f"grade {row.grade} here and {first.grade} on line {first.line}; the first counts"
            checked.bad.append(_bad(row, Reason.GRADES, sentence))
        else:
            seen[key, row.doc_id] = row
            checked.good.setdefault(key, []).append(row)
    return checked


def against_project(project: Project, checked: Checked) -> Checked:
    """Leave out also what the project contradicts or has: documents that are not there, grades given already.

    Those join `checked.bad`.
    """
    found = Checked(bad=checked.bad)
    for keys in chunks(checked.good):
        some = {key: checked.good[key] for key in keys}
        known = {row.normalised: row for row in Query.objects.filter(project=project, normalised__in=keys)}
        ids = {row.query_id for rows in some.values() for row in rows if row.query_id}
        taken = dict(Query.objects.filter(project=project, query_id__in=ids).values_list("query_id", "normalised"))
        sizes = _sizes(project, {row.doc_id for rows in some.values() for row in rows if row.doc_id})
        copies = _copies(project, some, sizes)
        judged = judgements_of([row.pk for row in known.values()])
        for key, rows in some.items():
            query = known.get(key)
            grades = {doc: its[0].grade for doc, its in judged[query.pk].items()} if query else {}
            for row in rows:
                bad = (
                    _bad_question(row, key, query, taken)
                    or _bad_document(row, sizes, copies)
                    or _bad_grade(row, query, grades)
                )
                if bad:
                    found.bad.append(bad)
                else:
                    found.good.setdefault(key, []).append(row)
    return found


def _bad_question(row: PairRow, key: str, query: Query | None, taken: Mapping[str, str]) -> BadRow | None:
    if row.query_id and taken.get(row.query_id, key) != key:
        return _bad(row, Reason.TEXTS, f"the project has another question with the id “{row.query_id}”")
    if row.split and query and query.split_fixed and query.split != row.split:
        return _bad(row, Reason.SPLITS, f"split {row.split} here, and {query.split} is fixed in the project")
    return None


def _bad_document(row: PairRow, sizes: Mapping[str, int], copies: set[tuple[str, str]]) -> BadRow | None:
    if row.doc_id and row.doc_id not in sizes:
        return _bad(row, Reason.NO_DOCUMENT, f"there is no document “{row.doc_id[:60]}” in this project")
    if (row.query, row.doc_id) in copies:
        return _bad(row, Reason.IS_DOCUMENT, f"the question is the whole text of the document “{row.doc_id[:60]}”")
    return None


def _bad_grade(row: PairRow, query: Query | None, grades: Mapping[str, int]) -> BadRow | None:
    if query is None:
        return None
    if not row.doc_id:
        return _bad(row, Reason.KNOWN, "the project has this question")
    if row.doc_id not in grades:
        return None
    if grades[row.doc_id] == row.grade:
        return _bad(row, Reason.KNOWN, f"“{row.doc_id[:60]}” has grade {row.grade} for it")
    sentence = f"grade {row.grade} here, and {grades[row.doc_id]} in the project, which stays"
    return _bad(row, Reason.GRADES, sentence)


def _sizes(project: Project, doc_ids: Iterable[str]) -> dict[str, int]:
    """Characters of those documents that the project has."""
    found: dict[str, int] = {}
    for some in chunks(doc_ids):
        rows = Document.objects.filter(corpus=project.corpus_id, doc_id__in=some)
        found.update(rows.annotate(size=Length("text")).values_list("doc_id", "size"))
    return found


def _copies(project: Project, some: Mapping[str, list[PairRow]], sizes: Mapping[str, int]) -> set[tuple[str, str]]:
    """Pairs in which question and document are the same text. Only documents of about that length are read."""
    near = [
        row for rows in some.values() for row in rows
        if row.doc_id in sizes and abs(sizes[row.doc_id] - len(row.query)) <= _NEAR
    ]  # fmt: skip
    texts: dict[str, str] = {}
    for ids in chunks({row.doc_id for row in near}):
        texts.update(Document.objects.filter(corpus=project.corpus_id, doc_id__in=ids).values_list("doc_id", "text"))
    return {(row.query, row.doc_id) for row in near if normalised(texts[row.doc_id]) == normalised(row.query)}


def _bad(row: PairRow, reason: Reason, sentence: str) -> BadRow:
    return BadRow(row.line, reason, sentence, row.query[:80])
