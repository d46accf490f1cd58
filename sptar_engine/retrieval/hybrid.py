"""BM25 and a dense retriever as one ranker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sptar_engine.records import Rankings
from sptar_engine.retrieval.dense_ranking import DenseRanker
from sptar_engine.retrieval.fusion import Feedback, Fusion

if TYPE_CHECKING:
    from sptar_engine.retrieval.ranking import Ranker, Tick


class HybridRanker:
    """Both sides search the whole corpus; their first hits are put together."""

    def __init__(self, lexical: Ranker, dense: DenseRanker, fusion: Fusion) -> None:
        self._lexical = lexical
        self._dense = dense
        self._fusion = fusion

    def rank(self, queries: Mapping[str, str], depth: int, tick: Tick) -> Rankings:
        """See Ranker."""
        fusion = self._fusion
        lexical = self._lexical.rank(queries, fusion.depth, tick)
        dense = self._dense.rank(queries, fusion.depth, tick)
        if fusion.feedback is not None:
            dense = look_again(self._dense, queries, lexical, dense, fusion.feedback, fusion.depth, tick)
        return fusion.fuse(lexical, dense, depth)


def look_again(
    ranker: DenseRanker,
    queries: Mapping[str, str],
    lexical: Rankings,
    dense: Rankings,
    feedback: Feedback,
    depth: int,
    tick: Tick,
) -> Rankings:
    """The dense side's first `depth` hits in a second look, after what a first one has found for the same queries."""
    found = feedback.first.fuse(lexical, dense, feedback.documents)
    return ranker.rank_moved(queries, found, feedback.rate, depth, tick)
