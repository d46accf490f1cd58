"""The proof that an archive loads: unpacked alone, in a clean process, without a network, with the same numbers."""

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
# Of a vector's component, or of a score's share of the largest one: far below what changes a ranking, above float32
# rounding.
TOLERANCE = 1e-5
_LIMIT = 600.0  # seconds; importing torch from a slow disk takes one minute at worst
_POLL = 0.5  # seconds between two looks at the child

Numbers = NDArray[np.float32]
"""What `clean_load.compute` gives: vectors of SENTENCES, (sentences, dim), or scores of them with each other."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What the packaged model must reproduce, and what its card says of it.

    `dimensions` of a vector are 0 for a cross-encoder, which has none; `max_length` counts tokens; `similarity` is
    empty for it too.
    """

    numbers: Numbers
    dimensions: int
    max_length: int
    similarity: str


def read_reference(model: Path) -> Reference:
    """Load the trained model in this process and give it the fixed sentences."""
    retriever = clean_load.load(str(model))
    numbers: Numbers = clean_load.compute(retriever, list(SENTENCES))
    dimensions = getattr(retriever, "get_embedding_dimension", lambda: 0)() or 0
    similarity = str(getattr(retriever, "similarity_fn_name", ""))
    return Reference(numbers, dimensions, int(retriever.max_seq_length or 0), similarity)


def check(archive: Path, folder: str, expected: Numbers, scratch: Path, wait: Callable[[], None]) -> float:
    """Load an archive in a clean process; return the largest difference of a number from `expected`.

    `wait` is called while the process runs and may raise to stop it. Raises StageError when the model does not load,
    its example does not run, it reaches for the network, or its numbers differ by more than TOLERANCE.
    """
    # Absolute, since the child works in a folder of its own.
    with tempfile.TemporaryDirectory(dir=scratch.resolve()) as home:
        with zipfile.ZipFile(archive) as content:
            content.extractall(home)
        target = Path(home, "numbers.npy")
        _run([str(Path(home, folder)), str(target)], Path(home), wait)
        found: Numbers = np.load(target, allow_pickle=False)
    return compare(found, expected)


def compare(found: Numbers, expected: Numbers) -> float:
    """The largest difference. Raises StageError when the shapes differ or it is above TOLERANCE.

    Scores may be any size; where the largest expected one is above 1, the difference counts as a share of it.
    """
    if found.shape != expected.shape:
        raise StageError(f"The packaged model gives numbers of shape {found.shape}, not {expected.shape}.")
    difference = float(np.abs(found - expected).max() / max(1.0, np.abs(expected).max()))
    if not difference <= TOLERANCE:  # so written that NaN fails too
        raise StageError(f"The packaged model's numbers differ by {difference:.2g}; {TOLERANCE:g} is allowed.")
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
