"""The best hits of many queries while a corpus passes by in blocks, always in the order of (-score, doc_id)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sptar_engine.records import Hit

Scores = NDArray[np.float32]
Numbers = NDArray[np.int64]

_PLACE_BITS = 32
_PLACE_MASK = (1 << _PLACE_BITS) - 1
_MAGNITUDE = 0x7FFFFFFF  # the bits of a float32 without its sign


@dataclass(frozen=True, slots=True)
class BestHits:
    """Hits of several queries, flat: the query's row and the hit's key, in the order of (row, -key).

    A key is one whole number in the order of (score, -place): the bits of a float32, read as a number, are in the
    order of the floats once those of the negative ones are flipped; they are the upper half of the key, and the
    place, counted down, is the lower one. So no two hits of a query are equal.
    """

    rows: Numbers
    keys: Numbers

    @classmethod
    def none(cls) -> BestHits:
        """Before the first block."""
        return cls(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))

    @classmethod
    def of(cls, rows: Numbers, places: Numbers, scores: Scores) -> BestHits:
        """Hits in any order: the query's row, the document's place among the sorted ids (`places_by_id`), its score."""
        bits = (scores + np.float32(0)).view(np.int32)  # -0.0 equals 0.0 but has other bits; adding 0 makes it 0.0
        ordered = np.where(bits < 0, bits ^ _MAGNITUDE, bits).astype(np.int64)
        return cls(rows, (ordered << _PLACE_BITS) | (_PLACE_MASK - places))

    @classmethod
    def of_block(cls, scores: Scores, places: Numbers, depth: int) -> BestHits:
        """Hits of a block, (queries, documents): of each query those no worse than its last of `depth`, ties too."""
        if scores.shape[1] > depth:
            lowest = np.partition(scores, -depth, axis=1)[:, -depth]
            rows, columns = np.nonzero(scores >= lowest[:, None])
        else:
            rows, columns = np.nonzero(np.ones(scores.shape, dtype=bool))
        return cls.of(rows, places[columns], scores[rows, columns])

    @property
    def places(self) -> Numbers:
        """Of each hit the place of its document among the sorted ids."""
        return _PLACE_MASK - (self.keys & _PLACE_MASK)

    @property
    def scores(self) -> Scores:
        """Of each hit its score."""
        bits = (self.keys >> _PLACE_BITS).astype(np.int32)
        return np.where(bits < 0, bits ^ _MAGNITUDE, bits).astype(np.int32).view(np.float32)

    def merged(self, other: BestHits, depth: int) -> BestHits:
        """The best `depth` of both for each query."""
        rows, keys = np.concatenate([self.rows, other.rows]), np.concatenate([self.keys, other.keys])
        order = np.lexsort((-keys, rows))
        rows, keys = rows[order], keys[order]
        kept = np.arange(len(rows)) - np.searchsorted(rows, rows) < depth  # the position within the query's hits
        return BestHits(rows[kept], keys[kept])

    def rankings(self, query_ids: Sequence[str], sorted_ids: Sequence[str]) -> dict[str, list[Hit]]:
        """The hits by query id; a query without hits has an empty list."""
        rankings: dict[str, list[Hit]] = {query_id: [] for query_id in query_ids}
        found = zip(self.rows.tolist(), self.places.tolist(), self.scores.tolist(), strict=True)
        for row, place, score in found:
            rankings[query_ids[row]].append(Hit(sorted_ids[place], score))
        return rankings


def places_by_id(doc_ids: Sequence[str]) -> tuple[list[str], Numbers]:
    """The ids sorted, and of each document, in the given order, its place among them."""
    by_id = sorted(range(len(doc_ids)), key=doc_ids.__getitem__)
    places = np.empty(len(doc_ids), dtype=np.int64)
    places[by_id] = np.arange(len(doc_ids))
    return [doc_ids[number] for number in by_id], places
