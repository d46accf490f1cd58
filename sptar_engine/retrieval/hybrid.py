"""BM25 and a dense retriever as one ranker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sptar_engine.records import Rankings
from sptar_engine.retrieval.fusion import Fusion

if TYPE_CHECKING:
    from sptar_engine.retrieval.ranking import Ranker, Tick


class HybridRanker:
    """Both sides search the whole corpus; their first hits are put together."""

    def __init__(self, lexical: Ranker, dense: Ranker, fusion: Fusion) -> None:
        self._lexical = lexical
        self._dense = dense
        self._fusion = fusion

    def rank(self, queries: Mapping[str, str], depth: int, tick: Tick) -> Rankings:
        """See Ranker."""
        lexical = self._lexical.rank(queries, self._fusion.depth, tick)
        dense = self._dense.rank(queries, self._fusion.depth, tick)
        return self._fusion.fuse(lexical, dense, depth)
