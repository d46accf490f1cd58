"""The number format of an encoder: float32, or a smaller one where a self-test finds it faster and nearly equal.

Whoever compares rankings encodes all of them in one format: it is chosen once, with the untrained base, and stored
with the experiment.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from sptar_engine.retrieval.dense import Vectors, encode
from sptar_engine.retrieval.encoder import load_bi_encoder
from sptar_engine.retrieval.int8 import Int8Linear, to_int8
from sptar_engine.runtime import MIN_GAIN

ENCODINGS = FLOAT32, BFLOAT16, INT8 = "float32", "bfloat16", "int8"

_TIMED = 8  # texts: on a CPU without its instructions bfloat16 takes ten times as long
_COMPARED = 64  # texts
_REPEATS = 3
_LEAST_COSINE = 0.98  # of each text's vector with its float32 vector
_LEAST_NDCG = 0.995  # of the order in which other texts are found, with float32's cosines as gains
_DEPTH = 10


def load_encoder(folder: Path, max_length: int, device: str, encoding: str) -> SentenceTransformer:
    """A bi-encoder that makes vectors in a number format, for search alone. Raises InputError as `load_bi_encoder`."""
    model = load_bi_encoder(folder, max_length, device)
    if encoding == BFLOAT16:
        model.to(torch.bfloat16)
    elif encoding == INT8:
        to_int8(model)
    return model


def encoding_of(model: SentenceTransformer) -> str:
    """The number format that `load_encoder` gave a model."""
    if any(isinstance(module, Int8Linear) for module in model.modules()):
        return INT8
    return BFLOAT16 if model.dtype == torch.bfloat16 else FLOAT32


def pick_encoding(folder: Path, max_length: int, device: str, texts: Sequence[str]) -> str:
    """The fastest sound format for an encoder, judged on some texts of the corpus; float32 unless clearly beaten.

    Sound is a format in which every vector is close to float32's and in which each text finds the others in nearly
    the same order. Takes some seconds for a small encoder.
    """
    sample = list(dict.fromkeys(texts))[:_COMPARED]
    exact = load_encoder(folder, max_length, device, FLOAT32)
    expected, limit = encode(exact, sample, max_length), _seconds(exact, sample[:_TIMED], max_length) / MIN_GAIN
    chosen = FLOAT32
    for encoding in (BFLOAT16, INT8) if device == "cpu" else (BFLOAT16,):
        model = load_encoder(folder, max_length, device, encoding)
        seconds = _seconds(model, sample[:_TIMED], max_length)
        if seconds < limit and is_sound(expected, encode(model, sample, max_length)):
            chosen, limit = encoding, seconds
    return chosen


def is_sound(exact: Vectors, reduced: Vectors) -> bool:
    """Whether vectors of the same texts, (texts, dimensions) of length 1, may stand for the float32 ones."""
    if not np.isfinite(reduced).all() or len(exact) < 2:
        return False
    nearest = np.einsum("td,td->t", exact, reduced).min()
    return bool(nearest >= _LEAST_COSINE and order_ndcg(exact, reduced) >= _LEAST_NDCG)


def order_ndcg(exact: Vectors, reduced: Vectors) -> float:
    """Mean nDCG@10 over the texts, each asking for the others: ordered by `reduced`, gains are the exact cosines.

    A cosine below 0 gains nothing. Two documents of nearly the same score may change places at nearly no cost.
    """
    gains, scores = (vectors @ vectors.T for vectors in (exact, reduced))
    np.fill_diagonal(scores, -np.inf)  # nobody asks for itself
    np.fill_diagonal(gains, -np.inf)
    depth = min(_DEPTH, len(gains) - 1)
    discounts = 1 / np.log2(np.arange(depth) + 2)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :depth]
    found = np.maximum(np.take_along_axis(gains, order, axis=1), 0) @ discounts
    best = np.maximum(-np.sort(-gains, axis=1)[:, :depth], 0) @ discounts
    return float(np.divide(found, best, out=np.ones_like(found), where=best > 0).mean())


def _seconds(model: SentenceTransformer, texts: Sequence[str], max_length: int) -> float:
    times = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        encode(model, texts, max_length)
        times.append(time.perf_counter() - start)
    return min(times)
