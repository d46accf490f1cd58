"""The playground's three searches together: how long a person waits for them on 10,000 documents.

    python -m benchmarks.playground --json

`manage.py search_service` runs as the application runs it, on a data folder of its own: BM25 by Lucene, the bundled
encoder, and a second encoder in the place of a trained one (a copy of the first: the same size, loaded by itself). A
person's question goes to all three at once, 100 documents deep, as the page sends it, and counts until the last answer
is read; no question comes twice. `checks.playground_p95_ms` is the 95th percentile for one person,
`checks.two_people_p95_ms` that for two at once.

The documents' vectors are drawn by chance unless `--encode` is given: exact search takes as long whatever they are, and
encoding 10,000 documents twice takes half an hour on two cores.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.web_site import documents, vocabulary
from sptar_engine.artifacts import sha256_file, write_jsonl
from sptar_engine.catalog import encoder_folder
from sptar_engine.data.beir import CORPUS_FILE
from sptar_engine.serving.library import BASE, Library
from sptar_engine.serving.making import vectors_folder
from sptar_engine.serving.vectors import VECTORS_FILE
from sptar_engine.serving.wire import Refusal, Unreachable, ask

_ROOT = Path(__file__).resolve().parent.parent
_BUNDLED = "all-minilm-l6-v2"
_DIMENSIONS = 384
_DEPTH = 100
_QUESTIONS = 200
_WARM_UP = 10
_WORDS = (3, 9)  # of a question
_FREQUENT = 2000  # words of the vocabulary that questions are made of
_SEED = 13
_PATIENCE = 3600.0  # seconds for an index, encoded by two models
_LIMIT = 300.0  # milliseconds that a person is promised


@dataclass(frozen=True, slots=True)
class Place:
    """A data folder with documents and a model in the place of a trained one."""

    root: Path
    corpus: Path
    digest: str
    trained: Path

    @property
    def searches(self) -> tuple[str, ...]:
        """What the service calls the three searches."""
        return "bm25", BASE, str(self.trained)

    def ask(self, do: str, **values: Any) -> dict[str, Any]:
        """One request to the service."""
        request = {"do": do, "corpus": str(self.corpus), "sha256": self.digest, **values}
        return ask(self.root / "search" / "search.sock", request, connect_seconds=5, answer_seconds=30)


def measure(documents: int = 10_000, *, questions: int = _QUESTIONS, encode: bool = False) -> dict[str, Any]:
    """Run the service on so many documents and time the searches. Milliseconds; `encode` has the vectors made."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        place = build(Path(folder), documents, encode=encode)
        with serving(place):
            _await_ready(place)
            draw = random.Random(_SEED)
            _together(place, [_question(draw) for _ in range(_WARM_UP)], [])
            parts: list[dict[str, float]] = []
            alone = _together(place, [_question(draw) for _ in range(questions)], parts)
            halves = [[_question(draw) for _ in range(questions // 2)] for _ in range(2)]
            with ThreadPoolExecutor(2) as people:
                both = list(people.map(lambda asked: _together(place, asked, []), halves))
    return summarise(documents, alone, [one for times in both for one in times], parts)


def build(root: Path, count: int, *, encode: bool) -> Place:
    """Fill a data folder."""
    corpus = root / "projects" / "bench" / "corpora" / "1" / CORPUS_FILE
    write_jsonl(corpus, ({"_id": one.doc_id, "title": one.title, "text": one.text} for one in documents(count)))
    trained = root / "projects" / "bench" / "store" / "stages" / "train" / "model"
    shutil.copytree(encoder_folder(_BUNDLED, root / "models"), trained)
    place = Place(root, corpus, sha256_file(corpus), trained)
    if not encode:
        _draw_vectors(place, count)
    return place


@contextmanager
def serving(place: Place) -> Iterator[None]:
    """Run the search service as the application does."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "OMP_NUM_THREADS", "OMP_WAIT_POLICY")
    environment = {
        **{name: os.environ[name] for name in kept if name in os.environ},
        "SPTAR_DATA": str(place.root), "SECRET_KEY": "a-key-for-measurements-only-" + "0123456789" * 3,
        "SEARCH_BASE": _BUNDLED, "LOG_LEVEL": "ERROR", "PYTHONPATH": str(_ROOT),
    }  # fmt: skip
    process = subprocess.Popen([sys.executable, "manage.py", "search_service"], cwd=_ROOT, env=environment)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def summarise(
    documents: int, alone: Sequence[float], both: Sequence[float], parts: Sequence[Mapping[str, float]]
) -> dict[str, Any]:
    """The percentiles, together and of each search as the service measures it."""
    names = dict(zip(("bm25", "before", "after"), range(3), strict=True))
    service = {
        f"{name}_service_p95_ms": round(percentile([list(part.values())[at] for part in parts], 0.95), 1)
        for name, at in names.items()
    }
    p95 = percentile(alone, 0.95)
    return {
        "name": "playground", "documents": documents, "questions": len(alone), "value": round(p95, 1), "unit": "ms",
        "checks": {
            "playground_p95_ms": round(p95, 1), "playground_median_ms": round(percentile(alone, 0.5), 1),
            "two_people_p95_ms": round(percentile(both, 0.95), 1), "at_most_ms": _LIMIT, "passed": p95 <= _LIMIT,
            **service,
        },
    }  # fmt: skip


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that this share of them does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def _together(place: Place, questions: Sequence[str], parts: list[dict[str, float]]) -> list[float]:
    """Milliseconds until all three answers are read, for each question; `parts` gets what the service says of each."""
    times = []
    with ThreadPoolExecutor(len(place.searches)) as pool:
        for text in questions:
            began = time.perf_counter()
            answers = pool.map(
                lambda name, text=text: place.ask("search", text=text, retriever=name, depth=_DEPTH, look=True),
                place.searches,
            )
            found = dict(zip(place.searches, answers, strict=True))
            times.append(1000 * (time.perf_counter() - began))
            parts.append({name: answer["milliseconds"] for name, answer in found.items()})
    return times


def _question(draw: random.Random) -> str:
    return " ".join(draw.choices(_frequent_words(), k=draw.randint(*_WORDS)))


@cache
def _frequent_words() -> list[str]:
    return vocabulary()[:_FREQUENT]


def _draw_vectors(place: Place, count: int) -> None:
    """Vectors of length 1 where the service looks for those it has made."""
    library = Library(place.root, place.root / "search", place.root / "models", _BUNDLED)
    draw = np.random.default_rng(_SEED)
    for name in (BASE, str(place.trained)):
        vectors = draw.standard_normal((count, _DIMENSIONS), dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        folder = vectors_folder(library.corpus(str(place.corpus), place.digest), library.encoder(name))
        folder.mkdir(parents=True)
        np.save(folder / VECTORS_FILE, vectors)


def _await_ready(place: Place) -> None:
    """Have everything built and loaded."""
    end = time.monotonic() + _PATIENCE
    pause = threading.Event()
    for name in place.searches:
        while True:
            try:
                place.ask("search", text="warm", retriever=name)
                break
            except (Refusal, Unreachable) as error:
                if time.monotonic() > end or (isinstance(error, Refusal) and error.reason == "failed"):
                    raise
                pause.wait(0.5)


def main(words: Sequence[str] | None = None) -> None:
    """Run and print."""
    about = (__doc__ or "").split("\n", 1)[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.playground", description=about)
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--questions", type=int, default=_QUESTIONS)
    parser.add_argument("--encode", action="store_true", help="have the service encode the documents (half an hour)")
    parser.add_argument("--json", action="store_true", help="print the JSON line alone")
    arguments = parser.parse_args(words)
    found = measure(arguments.documents, questions=arguments.questions, encode=arguments.encode)
    if not arguments.json:
        checks = found["checks"]
        print(f"95 % of questions are answered within {checks['playground_p95_ms']:.0f} ms by all three searches")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
