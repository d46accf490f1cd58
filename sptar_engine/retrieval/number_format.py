"""The number format in which the documents of a corpus are encoded.

All figures are measured in float32. But 100,000 documents take some twenty minutes in it on two cores, and where the
processor has instructions for bfloat16 half of that, with vectors that are the same to three digits. So a large corpus
is encoded in bfloat16 where a test says that both hold on this machine; queries never are.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from sptar_engine.artifacts import read_json, sha256_json, write_json
from sptar_engine.retrieval.dense import BFLOAT16, FLOAT32, Vectors, encode
from sptar_engine.runtime import MIN_GAIN

LARGE = 20_000
"""Documents from which on another format is looked for. Fewer take minutes, and stay comparable to the last digit."""

_SAME = 0.999  # cosine with the vector in float32: far closer than two documents ever are
_TEXTS, _WORDS = 16, 120  # of the test, which takes about a second on two cores
_TURNS = 3


def settle_format(model: SentenceTransformer, documents: int, folder: Path) -> str:
    """FLOAT32 or BFLOAT16, for a corpus of so many documents; `folder` keeps what was found for large ones.

    So what is encoded there on one machine is all in one format, also after a stop.
    """
    if documents < LARGE:
        return FLOAT32
    file = folder / f"number-format-{sha256_json(machine_of(model))[:16]}.json"
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        write_json(file, {"number_format": find_format(model)})
    return str(read_json(file)["number_format"])


def machine_of(model: SentenceTransformer) -> list[str | int]:
    """What the last digits of vectors depend on beside the model and the texts."""
    return [str(model.device), torch.get_num_threads(), torch.__version__]


def find_format(model: SentenceTransformer) -> str:
    """Encode a few texts both ways: bfloat16 must be clearly faster, and the vectors the same but for rounding."""
    words = [f"{first}{second}" for first in "bcdfgklmnprst" for second in ("as", "er", "ion", "ul")]
    texts = [" ".join(words[(start * place) % len(words)] for place in range(_WORDS)) for start in range(1, _TEXTS + 1)]
    seconds, vectors = zip(*(_try(model, texts, name) for name in (FLOAT32, BFLOAT16)), strict=True)
    closest = float(np.einsum("td,td->t", *vectors).min())
    return BFLOAT16 if seconds[0] > MIN_GAIN * seconds[1] and closest >= _SAME else FLOAT32


def _try(model: SentenceTransformer, texts: list[str], number_format: str) -> tuple[float, Vectors]:
    """The best time of some turns after one that warms up, in seconds, and the vectors."""
    times = []
    for _ in range(1 + _TURNS):
        start = time.perf_counter()
        vectors = encode(model, texts, model.max_seq_length or _WORDS, number_format=number_format)
        times.append(time.perf_counter() - start)
    return min(times[1:]), vectors
