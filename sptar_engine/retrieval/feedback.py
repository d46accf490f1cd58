"""Feedback without a person: a query's vector moves towards the documents that are found first for it.

Rocchio's method (1971) on dense vectors, which Li et al. (arXiv 2108.11044) found to help retrievers as it helps BM25:
what the first documents have in common is most of the time what the query is about. Light: no tensor library.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

_TINY = 1e-12  # below any length that means something


def move_towards(query: Vectors, documents: Vectors, rate: float) -> Vectors:
    """A query's vector, (dimensions), moved towards documents, (documents, dimensions); of length 1.

    Added is `rate` times the direction in which the documents lie together. Without documents nothing moves.
    """
    moved = query.astype(np.float64) + rate * _direction(documents.astype(np.float64).sum(axis=0))
    return _direction(moved).astype(np.float32)


def _direction(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    direction: NDArray[np.float64] = vector / max(float(np.linalg.norm(vector)), _TINY)
    return direction
