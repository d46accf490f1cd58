"""The first hits of a ranking in another order, the rest below them. Light: no tensor library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sptar_engine.records import Hit, rank_hits


def reorder(hits: Sequence[Hit], scores: Mapping[str, float], depth: int | None = None) -> list[Hit]:
    """The hits that have a score, in its order, then the others in theirs, each a point below the one before it.

    So the list is ordered by (-score, doc_id) throughout, and is cut at `depth`.
    """
    read = rank_hits(Hit(hit.doc_id, scores[hit.doc_id]) for hit in hits if hit.doc_id in scores)
    lowest = read[-1].score if read else 0.0
    others = [hit.doc_id for hit in hits if hit.doc_id not in scores]
    return [*read, *(Hit(doc_id, lowest - place) for place, doc_id in enumerate(others, 1))][:depth]
