"""Which example is for what: training, held-out or test. The app decides unless a person or an import has."""

from __future__ import annotations

from collections.abc import Mapping

from django.db.models import Count, Q, QuerySet

from sptar_engine.data.splits import draw, split_sizes
from sptar_engine.errors import InputError
from webapp.chunks import chunks
from webapp.models import Project, Query, Split

SEED = 13
"""The engine's default: the same examples are split here as there (sptar_engine.data.splits.assign_splits)."""

_TRAIN, _DEV, _TEST = Split.TRAIN.value, Split.DEV.value, Split.TEST.value


def assign(project: Project) -> bool:
    """Give every example a split after DESIGN section 3, minimums first; one with `split_fixed` keeps its own.

    Stable: questions stand in an order made of their ids, training is taken from its beginning and held-out from its
    end, so that one more changes the split of at most two others. Too few to split leaves them without one.

    Returns whether an example's split has changed. Call it in a transaction that holds `decisions.lock`.
    """
    _free(project).exclude(split="").filter(Q(relevant=0) | Q(status=Query.Status.SKIPPED)).update(split="")
    rows = list(usable(_free(project)).values_list("pk", "query_id", "split"))
    # Promoted questions come on top: they must not push what people wrote out of the training.
    fixed = usable(Query.objects.filter(project=project, split_fixed=True)).exclude(origin="promoted").order_by()
    counts = dict(fixed.values_list("split").annotate(Count("pk")))
    order = sorted(rows, key=lambda row: draw(row[1], SEED))
    moves: dict[str, list[int]] = {}
    for (pk, _, before), split in zip(order, _places(len(rows), counts), strict=True):
        if split != before:
            moves.setdefault(split, []).append(pk)
    for split, ids in moves.items():
        for some in chunks(ids):
            Query.objects.filter(pk__in=some, split_fixed=False).update(split=split)
    return bool(moves)


def usable(queries: QuerySet[Query]) -> QuerySet[Query]:
    """Those that are examples: with a relevant document, and not skipped."""
    return queries.filter(relevant__gte=1).exclude(status=Query.Status.SKIPPED)


def _free(project: Project) -> QuerySet[Query]:
    return Query.objects.filter(project=project, split_fixed=False)


def _places(free: int, fixed: Mapping[str, int]) -> list[str]:
    """The splits of `free` examples in their order, given how many are fixed in each split."""
    try:
        sizes = split_sizes(free + sum(fixed.values()))
    except InputError:  # too few
        return [""] * free
    wanted = {split: max(0, sizes[split] - fixed.get(split, 0)) for split in (_TEST, _TRAIN, _DEV)}
    # Where more than its share is fixed in one split, the others get less than theirs: taken from the largest.
    while sum(wanted.values()) > free:
        wanted[max(wanted, key=lambda split: wanted[split])] -= 1
    return [_TRAIN] * wanted[_TRAIN] + [_TEST] * wanted[_TEST] + [_DEV] * wanted[_DEV]
