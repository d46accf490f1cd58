"""Which grade counts when several people judged the same document for a question."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby

from django.db.models import QuerySet

from webapp.chunks import chunks
from webapp.models import Judgement

MIN_GRADE = 1
"""From this grade on a document is relevant (DESIGN section 3)."""
PLAYGROUND = "playground"
"""The source of grades for a question that was only tried. They count for no data and no figure until the question is
taken up on purpose, which makes them ordinary ones (webapp.services.judgements.keep_tried)."""


@dataclass(frozen=True, slots=True)
class Counting:
    """The grade that counts for a question (`query` is its row's id) and a document."""

    query: int
    doc_id: str
    grade: int


def effective(judgements: QuerySet[Judgement]) -> Iterator[Counting]:
    """The grade that counts for each judged pair: the settled one, else that of the first judge; none of PLAYGROUND.

    Read from the database piece by piece, by question and document.
    """
    rows = (
        judgements.exclude(source=PLAYGROUND)
        .order_by("query_id", "doc_id", "-settled", "id")
        .values_list("query_id", "doc_id", "grade")
    )
    for (query, doc_id), grades in groupby(rows.iterator(chunk_size=2000), key=lambda row: row[:2]):
        yield Counting(query, doc_id, next(iter(grades))[2])


def counting(rows: Sequence[Judgement]) -> Judgement | None:
    """The same of one document's grades, in the order of `judgements_of`."""
    return next((row for row in rows if row.source != PLAYGROUND), None)


def judgements_of(queries: Collection[int]) -> dict[int, dict[str, list[Judgement]]]:
    """All judgements of some questions by document, the one that counts first."""
    found: dict[int, dict[str, list[Judgement]]] = {query: {} for query in queries}
    for some in chunks(queries):
        rows = Judgement.objects.filter(query_id__in=some).select_related("judge")
        for row in rows.order_by("-settled", "id").only(
            "query_id", "doc_id", "grade", "settled", "source", "revision", "judge__name", "judge__email"
        ):
            found[row.query_id].setdefault(row.doc_id, []).append(row)
    return found


def state_of(rows: Sequence[Judgement]) -> str:
    """Names all grades of a document as they are now: another grade or a changed one makes it another name."""
    return sha256(" ".join(f"{row.pk}.{row.revision}" for row in rows).encode()).hexdigest()[:16]


def is_disputed(rows: Sequence[Judgement]) -> bool:
    """Whether people gave one document different grades and nobody has settled it."""
    return not any(row.settled for row in rows) and len({row.grade for row in rows}) > 1
