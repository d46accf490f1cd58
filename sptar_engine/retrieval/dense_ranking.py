"""A bi-encoder, or the base with an adapter, as a ranker: exact search over the vectors of the whole corpus."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sptar_engine.records import Rankings
from sptar_engine.retrieval.corpus_vectors import open_corpus_vectors
from sptar_engine.retrieval.dense import encode, search
from sptar_engine.retrieval.encoder import load_bi_encoder
from sptar_engine.retrieval.kinds import QUERY, document_side

if TYPE_CHECKING:
    from sptar_engine.retrieval.ranking import SearchSpace, Tick


class DenseRanker:
    """Ranks by the cosine of query and document."""

    def __init__(self, space: SearchSpace, folder: Path) -> None:
        """`folder` is that of a SentenceTransformer."""
        self._space = space
        self._folder = folder

    def rank(self, queries: Mapping[str, str], depth: int, tick: Tick) -> Rankings:
        """See Ranker. Raises InputError for a folder that holds another kind of model."""
        space = self._space
        model = load_bi_encoder(self._folder, space.max_length, space.device)
        doc_ids, document_vectors = open_corpus_vectors(
            model, document_side(self._folder), space.dataset, space.max_length, space.cache,
            lambda done, total: tick(done, total, "documents encoded"),
        )  # fmt: skip
        query_vectors = encode(model, list(queries.values()), space.max_length, side=QUERY)
        rankings = search(list(queries), query_vectors, doc_ids, document_vectors, depth)
        tick(len(queries), len(queries), "queries searched")
        return rankings
