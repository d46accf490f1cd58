"""A bi-encoder, or the base with an adapter, as a ranker: exact search over the vectors of the whole corpus."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sptar_engine.records import Rankings
from sptar_engine.retrieval.corpus_vectors import open_corpus_vectors
from sptar_engine.retrieval.dense import Vectors, encode, search
from sptar_engine.retrieval.encoder import load_bi_encoder
from sptar_engine.retrieval.feedback import move_towards
from sptar_engine.retrieval.kinds import QUERY, document_side

if TYPE_CHECKING:
    from sptar_engine.retrieval.ranking import SearchSpace, Tick


class DenseRanker:
    """Ranks by the cosine of query and document."""

    def __init__(self, space: SearchSpace, folder: Path) -> None:
        """`folder` is that of a SentenceTransformer."""
        self._space = space
        self._folder = folder
        self._last: _Encoded | None = None

    def rank(self, queries: Mapping[str, str], depth: int, tick: Tick) -> Rankings:
        """See Ranker. Raises InputError for a folder that holds another kind of model."""
        encoded = self._encoded(queries, tick)
        return encoded.search(encoded.queries, depth, tick)

    def rank_moved(
        self, queries: Mapping[str, str], towards: Rankings, rate: float, depth: int, tick: Tick
    ) -> Rankings:
        """As `rank`, with each query's vector moved by `rate` towards its documents (`retrieval.feedback`)."""
        encoded = self._encoded(queries, tick)
        return encoded.search(encoded.moved(towards, rate), depth, tick)

    def _encoded(self, queries: Mapping[str, str], tick: Tick) -> _Encoded:
        """The vectors of both sides; those of the queries that were asked for last are kept."""
        if self._last is not None and self._last.asked == queries:
            return self._last
        space = self._space
        model = load_bi_encoder(self._folder, space.max_length, space.device)
        doc_ids, documents = open_corpus_vectors(
            model, document_side(self._folder), space.dataset, space.max_length, space.cache,
            lambda done, total: tick(done, total, "documents encoded"),
        )  # fmt: skip
        vectors = encode(model, list(queries.values()), space.max_length, side=QUERY)
        self._last = _Encoded(dict(queries), vectors, doc_ids, documents)
        return self._last


@dataclass(frozen=True, slots=True)
class _Encoded:
    """Queries, (queries, dimensions), and the documents of a corpus, (documents, dimensions)."""

    asked: Mapping[str, str]
    queries: Vectors
    doc_ids: list[str]
    documents: Vectors

    def search(self, vectors: Vectors, depth: int, tick: Tick) -> Rankings:
        """The first `depth` hits by vectors of the queries."""
        rankings = search(list(self.asked), vectors, self.doc_ids, self.documents, depth)
        tick(len(self.asked), len(self.asked), "queries searched")
        return rankings

    def moved(self, towards: Rankings, rate: float) -> Vectors:
        """The queries' vectors moved towards documents of each."""
        rows = {doc_id: row for row, doc_id in enumerate(self.doc_ids)}
        found = ([rows[hit.doc_id] for hit in towards.get(query_id, ())] for query_id in self.asked)
        moved = [
            move_towards(vector, self.documents[some], rate) for vector, some in zip(self.queries, found, strict=True)
        ]
        return np.stack(moved) if moved else self.queries
