"""The number format in which the documents of a corpus are encoded.

float32 is what everything is measured in, but for the documents of large collections: 100,000 take some twenty minutes
in it on two cores, and less than half of that where the processor has instructions for bfloat16. So a large corpus is
encoded in bfloat16 where this machine is clearly faster in it and the model's vectors stay nearly the same; queries
never are.
"""

from __future__ import annotations

import fcntl
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

PARTS = "part-*.npy"
"""Files of a build that encodes a corpus part by part."""

_SAME = 0.9999  # cosine with the vector in float32 at least: a distance of 0.014. The bundled model has 0.99996
_WORDS = 120  # of a text
_TEXTS, _TEXTS_ACCELERATOR = 8, 512  # of a test: a second on two cores; an accelerator is only busy with many
_TURNS = 2
_HOPELESS = 2.0  # times as long in bfloat16 for one text: many times as long without instructions for it


def settle_format(model: SentenceTransformer, documents: int, folder: Path) -> str:
    """FLOAT32 or BFLOAT16, for a corpus of so many documents.

    `folder` keeps whether this machine is faster in bfloat16, so that what is encoded there later, or after a stop, is
    in the same format; what was begun there before that was looked for stays in float32. Whether the vectors are the
    same is looked at for each model.
    """
    if documents < LARGE:
        return FLOAT32
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"number-format-{sha256_json(machine_of(model))[:16]}.json"
    with (folder / f".{file.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not file.is_file():
            is_faster = not any(folder.glob(PARTS)) and is_faster_rounded(model)
            write_json(file, {"is_faster_rounded": is_faster})
    return BFLOAT16 if read_json(file)["is_faster_rounded"] and agrees_rounded(model) else FLOAT32


def machine_of(model: SentenceTransformer) -> list[str | int]:
    """What the last digits of vectors depend on beside the model and the texts."""
    return [str(model.device), torch.get_num_threads(), torch.__version__]


def is_faster_rounded(model: SentenceTransformer) -> bool:
    """Whether this machine encodes clearly faster in bfloat16, by a test of about a second on two cores."""
    texts = _texts(model)
    _timed(model, texts[:1], FLOAT32)  # warms up
    one = _timed(model, texts[:1], FLOAT32)
    _timed(model, texts[:1], BFLOAT16)
    if _timed(model, texts[:1], BFLOAT16) > _HOPELESS * one:
        return False
    exact, rounded = (min(_timed(model, texts, name) for _ in range(_TURNS)) for name in (FLOAT32, BFLOAT16))
    return exact > MIN_GAIN * rounded


def agrees_rounded(model: SentenceTransformer) -> bool:
    """Whether a few texts have nearly the same vectors in bfloat16."""
    texts = _texts(model)[:_TEXTS]
    exact, rounded = (_encoded(model, texts, name) for name in (FLOAT32, BFLOAT16))
    return bool(np.einsum("td,td->t", exact, rounded).min() >= _SAME)


def _texts(model: SentenceTransformer) -> list[str]:
    """Texts that share words and are not alike, as many as keep the device busy."""
    words = [f"{first}{second}" for first in "bcdfgklmnprst" for second in ("as", "er", "ion", "ul")]
    count = _TEXTS if model.device.type == "cpu" else _TEXTS_ACCELERATOR
    return [
        " ".join(words[(start * place + start // len(words)) % len(words)] for place in range(_WORDS))
        for start in range(1, count + 1)
    ]


def _timed(model: SentenceTransformer, texts: list[str], number_format: str) -> float:
    start = time.perf_counter()
    _encoded(model, texts, number_format)
    return time.perf_counter() - start


def _encoded(model: SentenceTransformer, texts: list[str], number_format: str) -> Vectors:
    return encode(model, texts, model.max_seq_length or 2 * _WORDS, number_format=number_format)
