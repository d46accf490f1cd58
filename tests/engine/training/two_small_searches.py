"""BM25 and a dense search over three documents, without either."""

import numpy as np

from sptar_engine.records import Hit
from sptar_engine.retrieval.feedback import move_towards


class Searches:
    """Two searches over three documents that never agree. Every query's vector is the same."""

    def __init__(self) -> None:
        # The first number of a vector is the document's cosine with the query.
        self.vectors = {"d1": (0.9, 0.19**0.5), "d2": (0.5, -(0.75**0.5)), "d3": (0.1, 0.99**0.5)}
        self.said = {"d3": 8.0, "d2": 2.0}

    def encode(self, texts):
        return np.array([[1.0, 0.0]] * len(texts), np.float32)

    def words(self, queries, depth):
        assert depth >= 1000
        return {key: [Hit(*hit) for hit in self.said.items()] for key in queries}

    def meaning(self, queries, vectors, depth):
        found = {}
        for key, vector in zip(queries, vectors, strict=True):
            hits = [Hit(*pair) for pair in zip(self.vectors, self.cosines(vector, self.vectors), strict=True)]
            found[key] = sorted(hits, key=lambda hit: -hit.score)[:depth]
        return found

    def cosines(self, vector, doc_ids):
        return np.array([self.vectors[doc_id] for doc_id in doc_ids]) @ vector

    def moved(self, vector, doc_ids, rate):
        return move_towards(vector, np.array([self.vectors[doc_id] for doc_id in doc_ids]), rate)
