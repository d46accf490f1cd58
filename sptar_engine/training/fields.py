"""The field of a query: the documents that BM25 and a dense search find for it, and what each thinks of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sptar_engine.records import Hit, Rankings, rank_hits
from sptar_engine.retrieval.dense import Vectors
from sptar_engine.retrieval.two_searches import TwoSearches

Features = NDArray[np.float64]
"""Of some documents of a query, (documents, 2): the cosine, and BM25's score as a share of the query's best."""

_DEPTH = 1000  # of BM25's hits
_CHUNK = 256  # queries searched at a time


@dataclass(frozen=True, slots=True)
class Weights:
    """What a cosine of 1, and BM25's best score, are worth in nats: their sum is a logit."""

    cosine: float
    share: float

    def scores(self, features: Features) -> NDArray[np.float64]:
        """The scores of documents, (documents)."""
        scores: NDArray[np.float64] = features @ np.array([self.cosine, self.share])
        return scores


@dataclass(frozen=True, slots=True)
class Field:
    """Documents of a query and their features."""

    doc_ids: tuple[str, ...]
    features: Features

    def ranked(self, weights: Weights, count: int) -> list[Hit]:
        """The first `count` documents by (-score, doc_id)."""
        scores = weights.scores(self.features).tolist()
        return rank_hits((Hit(*scored) for scored in zip(self.doc_ids, scores, strict=True)), count)


@dataclass(frozen=True, slots=True)
class SecondLook:
    """A second look: the query's vector moves towards the `documents` that the first look puts first.

    `weights` are those of the first look, `rate` is how far the vector moves (`retrieval.feedback`).
    """

    weights: Weights
    documents: int
    rate: float


def survey(
    searches: TwoSearches,
    queries: Mapping[str, str],
    count: int,
    known: Mapping[str, Sequence[str]],
    again: SecondLook | None = None,
) -> Iterator[tuple[str, Field]]:
    """The field of each query: the first `count` documents of either search, and those `known` to belong to it.

    A document beyond BM25's first 1,000 hits counts as one that shares no word with the query. With a second look the
    dense search goes by the moved vectors, and cosines are with these. No more of the hits are in memory than those of
    one chunk of the queries.
    """
    # All at once: a vector's last digits depend on the texts that it is encoded with.
    vectors = searches.encode(list(queries.values()))
    done = 0
    for some in chunked(queries):
        asked = vectors[done : done + len(some)]
        words = searches.words(some, max(_DEPTH, count))
        if again is not None:
            asked = _moved(searches, words, some, asked, count, again)
        yield from _fields(searches, words, some, asked, count, known)
        done += len(some)


def chunked(queries: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The queries in groups that are searched together."""
    keys = list(queries)
    for start in range(0, len(keys), _CHUNK):
        yield {key: queries[key] for key in keys[start : start + _CHUNK]}


def _moved(
    searches: TwoSearches,
    words: Rankings,
    queries: Mapping[str, str],
    vectors: Vectors,
    count: int,
    again: SecondLook,
) -> Vectors:
    """The vectors after a first look, (queries, dimensions)."""
    moved = np.empty_like(vectors)
    for row, (_, field) in enumerate(_fields(searches, words, queries, vectors, count, {})):
        first = [hit.doc_id for hit in field.ranked(again.weights, again.documents)]
        moved[row] = searches.moved(vectors[row], first, again.rate)
    return moved


def _fields(
    searches: TwoSearches,
    words: Rankings,
    queries: Mapping[str, str],
    vectors: Vectors,
    count: int,
    known: Mapping[str, Sequence[str]],
) -> Iterator[tuple[str, Field]]:
    """As `survey`, of queries whose `words` and `vectors` are known, (queries, dimensions)."""
    meaning = searches.meaning(list(queries), vectors, count)
    for query_id, vector in zip(queries, vectors, strict=True):
        lexical = {hit.doc_id: hit.score for hit in words.get(query_id, ())}
        near = (hit.doc_id for hit in meaning[query_id])
        doc_ids = tuple(sorted({*list(lexical)[:count], *near, *known.get(query_id, ())}))
        best = max(lexical.values(), default=1.0)
        shares = [lexical.get(doc_id, 0.0) / best for doc_id in doc_ids]
        yield query_id, Field(doc_ids, np.column_stack([searches.cosines(vector, doc_ids), shares]))
