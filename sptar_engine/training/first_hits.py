"""BM25's first hits for the held-out queries: what a cross-encoder puts in order when it is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sptar_engine.evaluation.metrics import measure
from sptar_engine.records import Rankings
from sptar_engine.retrieval.fusion import Fusion
from sptar_engine.retrieval.reordering import put_beside, reorder
from sptar_engine.retrieval.reranking import Pair
from sptar_engine.training.development import DEPTH, MEASURE, DevelopmentSet
from sptar_engine.training.development_corpus import search_words


@dataclass(frozen=True, slots=True)
class FirstHits:
    """The held-out queries, and for each BM25's hits in its order: those that are read, or more."""

    development: DevelopmentSet
    hits: Rankings

    def pairs(self) -> list[Pair]:
        """The texts of every query with each of its hits."""
        queries, documents = self.development.queries, self.development.documents
        return [(queries[query_id], documents[hit.doc_id]) for query_id, some in self.hits.items() for hit in some]

    def score(self, scores: Sequence[float]) -> float:
        """nDCG@10 when the hits are put in the order of their scores, which belong to `pairs` by place."""
        return self._measure(self._by_query(scores), None)

    def choose(self, scores: Sequence[float], fusions: Sequence[Fusion]) -> tuple[Fusion, float]:
        """The way to put these scores together with BM25's that gives the best nDCG@10, of equal ones the first."""
        read = self._by_query(scores)
        measured = [(fusion, self._measure(read, fusion)) for fusion in fusions]
        return max(measured, key=lambda one: one[1])

    def _by_query(self, scores: Sequence[float]) -> dict[str, dict[str, float]]:
        waiting = iter(scores)
        return {query_id: {hit.doc_id: next(waiting) for hit in some} for query_id, some in self.hits.items()}

    def _measure(self, read: Mapping[str, Mapping[str, float]], fusion: Fusion | None) -> float:
        ranked = {
            query_id: reorder(some, put_beside(some, read[query_id], fusion), DEPTH)
            for query_id, some in self.hits.items()
        }
        return measure(self.development.qrels, ranked).mean[MEASURE]

    @property
    def own_score(self) -> float:
        """nDCG@10 of BM25's own order."""
        return measure(self.development.qrels, {query: some[:DEPTH] for query, some in self.hits.items()}).mean[MEASURE]


def find_first_hits(
    prepare: Path, development: DevelopmentSet, cache: Path, depth: int, k1: float, b: float
) -> FirstHits:
    """Search the documents of the development set with BM25 for all its queries."""
    return FirstHits(development, search_words(development, prepare, cache, depth, k1, b))
