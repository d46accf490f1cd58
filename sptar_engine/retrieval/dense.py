"""Dense retrieval: texts to vectors, and exact search over them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from sptar_engine.records import Hit
from sptar_engine.retrieval.best_hits import BestHits, places_by_id
from sptar_engine.retrieval.chunks import chunk_by_length
from sptar_engine.retrieval.kinds import DOCUMENT
from sptar_engine.retrieval.lanes import in_lanes, lanes_for
from sptar_engine.runtime import torch_dtype

Vectors = NDArray[np.float32]
"""One row for each text: (texts, dimensions)."""

FLOAT32, BFLOAT16 = "float32", "bfloat16"
"""Number formats of `encode`."""

Tick = Callable[[int, int], None]
"""Called after each batch with the number of texts that are done, and of all texts."""

_TEXTS = 1024  # tokenised in one call: enough to keep the tokeniser's threads busy, little memory
# Padded tokens in one forward pass. On a CPU what a layer writes must stay in the cache: 32 passages at a time, the
# habit of sentence-transformers, take half as long again for the same products. A GPU wants large passes.
_CHUNK_TOKENS = {"cpu": 1024}
_CHUNK_TOKENS_ROUNDED = {"cpu": 3072}  # products take half as long, so what each of them costs beside weighs more
_CHUNK_TOKENS_ACCELERATOR = 65_536
_QUERIES = 64  # searched together
_DOCUMENTS = 1 << 16  # scored together: a block of scores is 16 MiB
_PAIRS = 1 << 14  # scored again together, in float64: 100 MB at 384 dimensions
_ROUNDING = 2.0**-24  # unit roundoff of float32


def encode(
    model: SentenceTransformer,
    texts: Sequence[str],
    max_length: int,
    tick: Tick | None = None,
    *,
    side: str = DOCUMENT,
    number_format: str = FLOAT32,
) -> Vectors:
    """Return the normalised vectors of texts, (texts, dimensions) in float32, as those of queries or of documents.

    A text is cut to `max_length` tokens, or to fewer when the model takes no more. Equal texts are encoded once, so
    their vectors are equal to the last bit. In BFLOAT16 the products of matrices are rounded, and what is sensitive to
    that, such as normalisation, is not (`torch.autocast`). `tick` is called once per batch, in the caller's thread, and
    may raise to stop. The model's length limit and its training mode are as before when this returns.
    """
    unique = sorted(set(texts))  # the same texts in another order pass in the same groups
    rows = {text: row for row, text in enumerate(unique)}
    vectors = np.zeros((len(unique), model.get_embedding_dimension() or 0), dtype=np.float32)
    limit, training = model.max_seq_length, model.training
    model.max_seq_length = min(max_length, limit or max_length)
    rounds = number_format != FLOAT32
    budgets = _CHUNK_TOKENS_ROUNDED if rounds else _CHUNK_TOKENS
    budget = budgets.get(model.device.type, _CHUNK_TOKENS_ACCELERATOR)
    done = 0

    def encoded(places: list[int]) -> Vectors:
        return _encode_batch(model, [unique[place] for place in places], side, number_format)

    def keep(places: list[int], found: Vectors) -> None:
        nonlocal done
        vectors[places] = found
        done += len(places)
        if tick:
            # Counted in the caller's texts: one that comes twice is done with its first copy.
            tick(len(texts) * done // len(unique), len(texts))

    def rounding() -> torch.autocast:
        return torch.autocast(model.device.type, torch_dtype(number_format), enabled=rounds)

    try:
        batches = chunk_by_length(_count_tokens(model, unique), budget)
        # The last digits of float32 depend on the threads of an operation, and are to stay what they were.
        divides = rounds and len(batches) > 2 and lanes_for(model, model.device) > 1
        ahead = 1 if divides else len(batches)
        with rounding():  # around all batches: within one of its own each would round the weights anew
            for places in batches[:ahead]:
                keep(places, encoded(places))
        if divides:  # behind a first one, at which the tokeniser is set, which threads must not do at once
            in_lanes(encoded, batches[ahead:], keep, rounding)
    finally:
        model.max_seq_length = limit
        model.train(training)
    return vectors[[rows[text] for text in texts]] if texts else vectors


def search(
    query_ids: Sequence[str], query_vectors: Vectors, doc_ids: Sequence[str], document_vectors: Vectors, depth: int
) -> dict[str, list[Hit]]:
    """Return for each query the `depth` documents of highest dot product, ordered by (-score, doc_id).

    Exact: a score is the float64 product rounded to float32, so that equal vectors get equal scores wherever they
    stand, which a matrix product in float32 does not give them, and a tie falls to the smaller id, at the cut too.
    Memory beyond the vectors: some 200 MB at most, however many documents there are.
    """
    sorted_ids, places = places_by_id(doc_ids)
    longest = math.sqrt(np.einsum("nd,nd->n", document_vectors, document_vectors).max(initial=0.0))
    rankings: dict[str, list[Hit]] = {}
    for start in range(0, len(query_ids), _QUERIES):
        queries = query_vectors[start : start + _QUERIES]
        best = BestHits.none()
        for first in range(0, len(doc_ids), _DOCUMENTS):
            block = slice(first, first + _DOCUMENTS)
            best = best.merged(_candidates(queries, document_vectors[block], places[block], longest, depth), depth)
        rankings |= best.rankings(query_ids[start : start + _QUERIES], sorted_ids)
    return rankings


def _candidates(
    queries: Vectors, documents: Vectors, places: NDArray[np.int64], longest: float, depth: int
) -> BestHits:
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
    return BestHits.of(rows, places[columns], scores)


def _count_tokens(model: SentenceTransformer, texts: Sequence[str]) -> list[int]:
    """Of each text, cut where the model cuts it. A prompt, which all have alike, is not counted."""
    counts: list[int] = []
    for start in range(0, len(texts), _TEXTS):
        some = list(texts[start : start + _TEXTS])
        rows = model.tokenizer(some, truncation=True, padding=False, max_length=model.max_seq_length)["input_ids"]
        counts += map(len, rows)
    return counts


def _encode_batch(model: SentenceTransformer, batch: list[str], side: str, number_format: str) -> Vectors:
    # `encode_query` would also put the base's own prompt for queries before them, which no training has seen.
    vectors = model.encode(batch, batch_size=len(batch), normalize_embeddings=True, show_progress_bar=False, task=side)
    rows = np.asarray(vectors, dtype=np.float32)
    if number_format != FLOAT32 or model.dtype != torch.float32:  # in which lengths of 1 are rounded to three digits
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.float32(1e-12))
    return rows
