"""BM25 and an untrained dense retriever side by side, over the same corpus."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from sptar_engine.artifacts import content_hash
from sptar_engine.data.beir import CORPUS_FILE
from sptar_engine.data.lines import count_lines
from sptar_engine.records import Rankings
from sptar_engine.retrieval.corpus_vectors import open_corpus_vectors
from sptar_engine.retrieval.dense import Vectors, encode, search
from sptar_engine.retrieval.encoder import load_bi_encoder
from sptar_engine.retrieval.feedback import move_towards
from sptar_engine.retrieval.kinds import QUERY
from sptar_engine.retrieval.lexical import LexicalSearcher, build_or_open


class TwoSearches:
    """Close it, or use it in a `with` statement. What is encoded and indexed stays in `cache`."""

    def __init__(
        self,
        dataset: Path,
        cache: Path,
        base: Path,
        *,
        max_length: int,
        k1: float,
        b: float,
        device: str,
        tick: Callable[[int, int, str], None],
    ) -> None:
        """`tick(done, total, message)` is called while the corpus is read, and may raise to stop."""
        corpus = dataset / CORPUS_FILE
        total = count_lines(corpus)
        index = build_or_open(corpus, cache, lambda done: tick(done, total, "documents indexed"))
        self._model, self._max_length = load_bi_encoder(base, max_length, device), max_length
        self._doc_ids, self._vectors = open_corpus_vectors(
            self._model, content_hash(base), dataset, max_length, cache,
            lambda done, total: tick(done, total, "documents encoded"),
        )  # fmt: skip
        self._rows = {doc_id: row for row, doc_id in enumerate(self._doc_ids)}
        self._lexical = LexicalSearcher(index, k1, b)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the files of the index."""
        self._lexical.close()

    def encode(self, texts: Sequence[str]) -> Vectors:
        """The vectors of queries, (texts, dimensions)."""
        return encode(self._model, texts, self._max_length, side=QUERY)

    def words(self, queries: Mapping[str, str], depth: int) -> Rankings:
        """BM25's first hits of each query."""
        found: Rankings = self._lexical.search(queries, depth)
        return found

    def meaning(self, queries: Sequence[str], vectors: Vectors, depth: int) -> Rankings:
        """The documents nearest to the queries' vectors; a score is a cosine."""
        found: Rankings = search(queries, vectors, self._doc_ids, self._vectors, depth)
        return found

    def cosines(self, vector: Vectors, doc_ids: Sequence[str]) -> Vectors:
        """Of a query's vector, (dimensions), with some documents, (documents), as `meaning` gives them."""
        rows = self._vectors_of(doc_ids).astype(np.float64)
        cosines: Vectors = np.einsum("nd,d->n", rows, vector.astype(np.float64)).astype(np.float32)
        return cosines

    def moved(self, vector: Vectors, doc_ids: Sequence[str], rate: float) -> Vectors:
        """A query's vector, (dimensions), moved towards some documents (`retrieval.feedback`)."""
        return move_towards(vector, self._vectors_of(doc_ids), rate)

    def _vectors_of(self, doc_ids: Sequence[str]) -> Vectors:
        vectors: Vectors = self._vectors[[self._rows[doc_id] for doc_id in doc_ids]]
        return vectors
