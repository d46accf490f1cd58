"""The vectors that the untrained base gives to documents, for a training that leaves them as they are."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sptar_engine.data.beir import read_corpus
from sptar_engine.retrieval.corpus_vectors import open_corpus_vectors
from sptar_engine.retrieval.dense import Vectors
from sptar_engine.retrieval.encoder import load_bi_encoder
from sptar_engine.retrieval.kinds import document_side
from sptar_engine.training.pairs import document_key


@dataclass(frozen=True, slots=True)
class BaseVectors:
    """`matrix` is (documents of the corpus, dimensions), a view of a file; the mappings give its rows."""

    matrix: Vectors
    by_key: Mapping[Hashable, int]
    by_id: Mapping[str, int]

    def of_keys(self, keys: Sequence[Hashable]) -> Vectors:
        """The vectors of documents by document key, (keys, dimensions)."""
        return np.asarray(self.matrix[[self.by_key[key] for key in keys]])

    def matrix_of(self, doc_ids: Sequence[str]) -> Vectors:
        """The vectors of documents by id, (ids, dimensions): of the whole corpus in its order the file itself."""
        if list(self.by_id) == list(doc_ids):
            return self.matrix
        return np.asarray(self.matrix[[self.by_id[doc_id] for doc_id in doc_ids]])


def open_base_vectors(
    base: Path,
    prepare: Path,
    cache: Path,
    keys: Collection[int],
    *,
    max_length: int,
    device: str,
    tick: Callable[[int, int], None],
) -> BaseVectors:
    """Open the vectors of the whole corpus, which every arm of an experiment shares; encode it if nobody has yet.

    `keys` are the document keys that will be asked for. `tick` is called while documents are encoded.
    """
    model = load_bi_encoder(base, max_length, device)
    doc_ids, matrix = open_corpus_vectors(model, document_side(base), prepare, max_length, cache, tick)
    by_key: dict[Hashable, int] = {}
    for row, document in enumerate(read_corpus(prepare).values()):
        key = document_key(document.content)
        if key in keys:
            by_key.setdefault(key, row)
    return BaseVectors(matrix, by_key, {doc_id: row for row, doc_id in enumerate(doc_ids)})
