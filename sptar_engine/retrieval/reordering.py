"""The first hits of a ranking in another order, the rest below them. Light: no tensor library.

A model that reads a query and a document knows nothing of what the search behind it knows, so its scores may be put
together with that search's, in a way that its folder names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sptar_engine.records import Hit, rank_hits
from sptar_engine.retrieval.fusion import FUSION_FILE, Fusion, read_fusion

_QUERY = ""  # of a ranking that has one


def reorder(hits: Sequence[Hit], scores: Mapping[str, float], depth: int | None = None) -> list[Hit]:
    """The hits that have a score, in its order, then the others in theirs, each a point below the one before it.

    So the list is ordered by (-score, doc_id) throughout, and is cut at `depth`.
    """
    read = rank_hits(Hit(hit.doc_id, scores[hit.doc_id]) for hit in hits if hit.doc_id in scores)
    lowest = read[-1].score if read else 0.0
    others = [hit.doc_id for hit in hits if hit.doc_id not in scores]
    return [*read, *(Hit(doc_id, lowest - place) for place, doc_id in enumerate(others, 1))][:depth]


def put_beside(hits: Sequence[Hit], scores: Mapping[str, float], fusion: Fusion | None) -> Mapping[str, float]:
    """The scores of the hits that were read, put together with those of the search that found them.

    Both sides are scaled over these hits alone. Without a `fusion` a reading stands for itself.
    """
    if fusion is None:
        return scores
    first = {_QUERY: [hit for hit in hits if hit.doc_id in scores]}
    read = {_QUERY: rank_hits(Hit(doc_id, score) for doc_id, score in scores.items())}
    both = replace(fusion, depth=max(1, len(scores))).fuse(first, read, len(scores))[_QUERY]
    return {hit.doc_id: hit.score for hit in both}


def reading_fusion(model: Path) -> Fusion | None:
    """How the scores of the model in a folder are put together with BM25's; None where they stand alone.

    Raises ArtifactError when the folder's file about it is broken.
    """
    return read_fusion(model) if (model / FUSION_FILE).is_file() else None
