"""BM25 as a ranker: the index is built when the cache does not have it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sptar_engine.data.corpus import CORPUS_FILE
from sptar_engine.data.lines import count_lines
from sptar_engine.records import Hit, Rankings
from sptar_engine.retrieval.lexical import LexicalSearcher, build_or_open

if TYPE_CHECKING:
    from sptar_engine.retrieval.ranking import SearchSpace, Tick

_CHUNK = 256  # queries searched between two ticks


class LexicalRanker:
    """Lucene's BM25."""

    def __init__(self, space: SearchSpace) -> None:
        self._space = space

    def rank(self, queries: Mapping[str, str], depth: int, tick: Tick) -> Rankings:
        """See Ranker."""
        space = self._space
        corpus = space.dataset / CORPUS_FILE
        total = count_lines(corpus)
        index = build_or_open(corpus, space.cache, lambda done: tick(done, total, "documents indexed"))
        rankings: dict[str, Sequence[Hit]] = {}
        query_ids = list(queries)
        with LexicalSearcher(index, space.k1, space.b) as searcher:
            for start in range(0, len(query_ids), _CHUNK):
                chunk = {query_id: queries[query_id] for query_id in query_ids[start : start + _CHUNK]}
                rankings.update(searcher.search(chunk, depth))
                tick(len(rankings), len(queries), "queries searched")
        return rankings
