"""The counters of a question: relevant and judged documents, and whether two people disagree on one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from webapp.chunks import chunks
from webapp.models import Judgement, Query
from webapp.selectors.judgements import MIN_GRADE, is_disputed, judgements_of


def refresh(queries: Collection[int]) -> None:
    """Count again for these questions (ids of rows; those that are gone are left out)."""
    for some in chunks(queries):
        judged = judgements_of(some)
        changed = [row for row in Query.objects.filter(pk__in=some).only(*_COUNTED) if _recount(row, judged[row.pk])]
        Query.objects.bulk_update(changed, _COUNTED, batch_size=200)


_COUNTED = ("relevant", "judged", "disputed")


def _recount(row: Query, judged: Mapping[str, Sequence[Judgement]]) -> bool:
    """Set the counters of a row. Returns whether one differs from before."""
    before = tuple(getattr(row, name) for name in _COUNTED)
    row.judged = len(judged)
    row.relevant = sum(rows[0].grade >= MIN_GRADE for rows in judged.values())
    row.disputed = any(is_disputed(rows) for rows in judged.values())
    return before != (row.relevant, row.judged, row.disputed)
