"""The counters of a question: relevant and judged documents, and whether two people disagree on one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from webapp.chunks import chunks
from webapp.models import Judgement, Query
from webapp.selectors.judgements import MIN_GRADE, is_disputed, judgements_of

Counted = tuple[int, int, bool]
"""relevant, judged, disputed"""


def refresh(queries: Collection[int]) -> None:
    """Count again for these questions (ids of rows; those that are gone are left out)."""
    for some in chunks(queries):
        judged = judgements_of(some)
        rows = Query.objects.filter(pk__in=some).values_list("pk", "relevant", "judged", "disputed")
        # Many questions of an import have equal counters: one statement for all of these.
        changed: dict[Counted, list[int]] = defaultdict(list)
        for pk, *before in rows:
            now = _count(judged[pk])
            if now != tuple(before):
                changed[now].append(pk)
        for (relevant, documents, disputed), ids in changed.items():
            Query.objects.filter(pk__in=ids).update(relevant=relevant, judged=documents, disputed=disputed)


def _count(judged: Mapping[str, Sequence[Judgement]]) -> Counted:
    relevant = sum(rows[0].grade >= MIN_GRADE for rows in judged.values())
    return relevant, len(judged), any(is_disputed(rows) for rows in judged.values())
