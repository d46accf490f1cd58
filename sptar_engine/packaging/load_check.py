"""The proof that an archive loads: unpacked alone, in a clean process, without a network, with the same vectors."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sptar_engine.errors import StageError
from sptar_engine.packaging import clean_load

SENTENCES = ("how do i renew a library card", "A library card is renewed at the desk, once a year, free of charge.")
TOLERANCE = 1e-5  # of a vector's component: far below what changes a ranking, above float32 rounding
_LIMIT = 600.0  # seconds; importing torch from a slow disk takes one minute at worst
_POLL = 0.5  # seconds between two looks at the child

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Reference:
    """What the packaged model must reproduce, and what its card says of it.

    `vectors` of SENTENCES are (sentences, dim); `max_length` counts tokens.
    """

    vectors: Vectors
    max_length: int
    similarity: str


def read_reference(model: Path) -> Reference:
    """Load the trained model in this process and encode the fixed sentences."""
    from sentence_transformers import SentenceTransformer

    retriever = SentenceTransformer(str(model), device="cpu", trust_remote_code=False, local_files_only=True)
    vectors = retriever.encode(list(SENTENCES), show_progress_bar=False)
    return Reference(vectors, int(retriever.max_seq_length or 0), str(retriever.similarity_fn_name))


def check(archive: Path, folder: str, expected: Vectors, scratch: Path, wait: Callable[[], None]) -> float:
    """Load an archive in a clean process; return the largest difference of a component from `expected`.

    `wait` is called while the process runs and may raise to stop it. Raises StageError when the model does not load,
    its example does not run, it reaches for the network, or its vectors differ by more than TOLERANCE.
    """
    # Absolute, since the child works in a folder of its own.
    with tempfile.TemporaryDirectory(dir=scratch.resolve()) as home:
        with zipfile.ZipFile(archive) as content:
            content.extractall(home)
        target = Path(home, "vectors.npy")
        _run([str(Path(home, folder)), str(target)], Path(home), wait)
        found: Vectors = np.load(target, allow_pickle=False)
    return compare(found, expected)


def compare(found: Vectors, expected: Vectors) -> float:
    """The largest difference of a component. Raises StageError when it is above TOLERANCE or the shapes differ."""
    if found.shape != expected.shape:
        raise StageError(f"The packaged model gives vectors of shape {found.shape}, not {expected.shape}.")
    difference = float(np.abs(found - expected).max())
    if not difference <= TOLERANCE:  # so written that NaN fails too
        raise StageError(f"The packaged model's vectors differ by {difference:.2g}; {TOLERANCE:g} is allowed.")
    return difference


def _run(arguments: list[str], home: Path, wait: Callable[[], None]) -> None:
    command = [sys.executable, "-I", "-W", "ignore", clean_load.__file__, *arguments]
    with (home / "sentences.json").open("w+") as sentences, (home / "errors.txt").open("w+") as errors:
        json.dump(SENTENCES, sentences)
        sentences.seek(0)
        process = subprocess.Popen(  # noqa: S603 - our own script
            command, cwd=home, env=_environment(home), stdin=sentences, stdout=subprocess.DEVNULL, stderr=errors
        )
        try:
            _await(process, wait)
        finally:
            process.kill()
            process.wait()
        if process.returncode:
            errors.seek(0)
            reason = (errors.read().strip().splitlines() or [f"exit code {process.returncode}"])[-1]
            raise StageError(f"The packaged model does not load in a clean process: {reason}")


def _await(process: subprocess.Popen[Any], wait: Callable[[], None]) -> None:
    end = time.monotonic() + _LIMIT
    while time.monotonic() < end:
        wait()
        try:
            process.wait(_POLL)
        except subprocess.TimeoutExpired:
            continue
        return
    raise StageError(f"The packaged model did not load within {_LIMIT:.0f} seconds.")


def _environment(home: Path) -> dict[str, str]:
    """A stranger's environment: an empty home, no cache, no GPU, nothing of ours."""
    return {
        "HOME": str(home), "HF_HOME": str(home / "cache"), "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1",
        "CUDA_VISIBLE_DEVICES": "", "TOKENIZERS_PARALLELISM": "false", "PYTHONUTF8": "1",
    }  # fmt: skip
