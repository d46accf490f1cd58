"""Dense retrieval: texts to vectors, and exact search over them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from sptar_engine.records import Corpus, Hit

Vectors = NDArray[np.float32]
"""One row for each text: (texts, dimensions)."""

Tick = Callable[[int, int], None]
"""Called after each batch with the number of texts that are done, and of all texts."""

_BATCH = 32  # texts: more does not pay on a CPU
_QUERIES = 64  # searched together
_DOCUMENTS = 1 << 16  # read together, and scored together: a block of scores is 16 MiB
_PAIRS = 1 << 14  # scored again together, in float64: 100 MB at 384 dimensions
_PLACE_BITS = 32
_PLACE_MASK = (1 << _PLACE_BITS) - 1
_MAGNITUDE = 0x7FFFFFFF  # the bits of a float32 without its sign
_ROUNDING = 2.0**-24  # unit roundoff of float32


def encode(model: SentenceTransformer, texts: Sequence[str], max_length: int, tick: Tick | None = None) -> Vectors:
    """Return the normalised vectors of texts, (texts, dimensions) in float32.

    A text is cut to `max_length` tokens, or to fewer when the model takes no more. Equal texts are encoded once, so
    their vectors are equal to the last bit. `tick` is called once per batch and may raise to stop. The model's
    length limit and its training mode are as before when this returns.
    """
    unique = sorted(set(texts), key=lambda text: (-len(text), text))  # by length, so that a batch needs little padding
    rows = {text: row for row, text in enumerate(unique)}
    vectors = np.zeros((len(unique), model.get_embedding_dimension() or 0), dtype=np.float32)
    limit, training = model.max_seq_length, model.training
    model.max_seq_length = min(max_length, limit or max_length)
    try:
        for start in range(0, len(unique), _BATCH):
            batch = unique[start : start + _BATCH]
            vectors[start : start + len(batch)] = _encode_batch(model, batch)
            if tick:
                # Counted in the caller's texts: one that comes twice is done with its first copy.
                tick(len(texts) * (start + len(batch)) // len(unique), len(texts))
    finally:
        model.max_seq_length = limit
        model.train(training)
    return vectors[[rows[text] for text in texts]] if texts else vectors


def encode_corpus(
    model: SentenceTransformer, corpus: Corpus, max_length: int, tick: Tick | None = None
) -> tuple[list[str], Vectors]:
    """Return the ids of all documents, in corpus order, and their vectors, as `encode` makes them.

    At most 65,536 documents are held at a time, so a corpus on disk stays there; the vectors are in memory.
    """
    doc_ids: list[str] = []
    vectors = np.zeros((len(corpus), model.get_embedding_dimension() or 0), dtype=np.float32)
    documents = iter(corpus.values())
    while chunk := list(islice(documents, _DOCUMENTS)):
        before = len(doc_ids)
        go_on = partial(_tick_from, tick, before, len(corpus)) if tick else None
        texts = [document.content for document in chunk]
        vectors[before : before + len(chunk)] = encode(model, texts, max_length, go_on)
        doc_ids += [document.doc_id for document in chunk]
    return doc_ids, vectors


def search(
    query_ids: Sequence[str], query_vectors: Vectors, doc_ids: Sequence[str], document_vectors: Vectors, depth: int
) -> dict[str, list[Hit]]:
    """Return for each query the `depth` documents of highest dot product, ordered by (-score, doc_id).

    Exact: a score is the float64 product rounded to float32, so that equal vectors get equal scores wherever they
    stand, which a matrix product in float32 does not give them, and a tie falls to the smaller id, at the cut too.
    Memory beyond the vectors: some 200 MB at most, however many documents there are.
    """
    by_id = sorted(range(len(doc_ids)), key=doc_ids.__getitem__)
    places = np.empty(len(doc_ids), dtype=np.int64)  # of each document among the sorted ids
    places[by_id] = np.arange(len(doc_ids))
    longest = math.sqrt(np.einsum("nd,nd->n", document_vectors, document_vectors).max(initial=0.0))
    rankings: dict[str, list[Hit]] = {query_id: [] for query_id in query_ids}
    for start in range(0, len(query_ids), _QUERIES):
        queries = query_vectors[start : start + _QUERIES]
        best = _Best(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
        for first in range(0, len(doc_ids), _DOCUMENTS):
            block = slice(first, first + _DOCUMENTS)
            best = best.merged(_candidates(queries, document_vectors[block], places[block], longest, depth), depth)
        found = zip(best.rows.tolist(), best.places.tolist(), best.scores.tolist(), strict=True)
        for row, place, score in found:
            rankings[query_ids[start + row]].append(Hit(doc_ids[by_id[place]], score))
    return rankings


@dataclass(frozen=True, slots=True)
class _Best:
    """The best hits of several queries, flat: the query's row and the hit's key, in the order of (row, -key).

    A key is one whole number in the order of (score, -place): the bits of a float32, read as a number, are in the
    order of the floats once those of the negative ones are flipped; they are the upper half of the key, and the
    place, counted down, is the lower one. So no two hits of a query are equal.
    """

    rows: NDArray[np.int64]
    keys: NDArray[np.int64]

    @property
    def places(self) -> NDArray[np.int64]:
        return _PLACE_MASK - (self.keys & _PLACE_MASK)

    @property
    def scores(self) -> Vectors:
        bits = (self.keys >> _PLACE_BITS).astype(np.int32)
        return np.where(bits < 0, bits ^ _MAGNITUDE, bits).astype(np.int32).view(np.float32)

    def merged(self, other: _Best, depth: int) -> _Best:
        """The best `depth` of both for each query."""
        rows, keys = np.concatenate([self.rows, other.rows]), np.concatenate([self.keys, other.keys])
        order = np.lexsort((-keys, rows))
        rows, keys = rows[order], keys[order]
        kept = np.arange(len(rows)) - np.searchsorted(rows, rows) < depth  # the position within the query's hits
        return _Best(rows[kept], keys[kept])


def _candidates(queries: Vectors, documents: Vectors, places: NDArray[np.int64], longest: float, depth: int) -> _Best:
    """Hits of a block of documents among which are the best `depth` of each query, with their exact scores.

    A float32 product of n terms is off by n * 2^-24 * |query| * |document| at most, in whatever order it is summed.
    So a hit of the best `depth` is at most twice that below the last of the best `depth` products.
    """
    products = torch.from_numpy(queries) @ torch.from_numpy(documents).T  # (queries, documents)
    lowest = torch.topk(products, min(depth, len(documents)), dim=1, sorted=False).values.amin(dim=1)
    slack = 2 * (queries.shape[1] + 2) * _ROUNDING * longest * np.linalg.norm(queries, axis=1)
    rows, columns = np.nonzero(products.numpy() >= (lowest.numpy() - slack)[:, None])
    scores = np.empty(len(rows), dtype=np.float32)
    for start in range(0, len(rows), _PAIRS):
        pairs = slice(start, start + _PAIRS)
        left, right = queries[rows[pairs]].astype(np.float64), documents[columns[pairs]]
        scores[pairs] = np.einsum("pd,pd->p", left, right)
    return _Best(rows, _keys(scores, places[columns]))


def _keys(scores: Vectors, places: NDArray[np.int64]) -> NDArray[np.int64]:
    bits = (scores + np.float32(0)).view(np.int32)  # -0.0 equals 0.0 but has other bits; adding 0 makes it 0.0
    ordered = np.where(bits < 0, bits ^ _MAGNITUDE, bits).astype(np.int64)
    return (ordered << _PLACE_BITS) | (_PLACE_MASK - places)


def _tick_from(tick: Tick, before: int, total: int, done: int, of_these: int) -> None:
    del of_these
    tick(before + done, total)


def _encode_batch(model: SentenceTransformer, batch: list[str]) -> Vectors:
    vectors = model.encode(batch, batch_size=len(batch), normalize_embeddings=True, show_progress_bar=False)
    return np.asarray(vectors, dtype=np.float32)
