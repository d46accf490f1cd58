"""The playground: how long a person waits for its page, three searches side by side, on 10,000 documents.

    python -m benchmarks.playground --json

The application runs as `manage.py up` runs it (gunicorn with its processes and threads, the search service), on a data
folder of its own: BM25 by Lucene, the bundled encoder, and a second encoder in the place of a trained one (a copy of
the first: the same size, loaded by itself). A person who is logged in asks for the page of a question, and all of the
request counts, to the last byte of the page with its three columns; no question comes twice.
`checks.playground_p95_ms` is the 95th percentile for one person, `checks.two_people_p95_ms` that for two at once.

`checks.search_service_p95_ms` is the part of the search service: the same three searches at once, 100 documents deep,
asked without the page.

The documents' vectors are drawn by chance unless `--encode` is given: exact search takes as long whatever they are, and
encoding 10,000 documents twice takes half an hour on two cores.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np

from benchmarks.web import Site, percentile, query_words, serving
from sptar_engine.catalog import encoder_folder
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
_SEED = 13
_PATIENCE = 3600.0  # seconds for an index, encoded by two models
_COLUMNS = ("bm25", "before", "after")
_LIMIT = 300.0  # milliseconds that a person is promised


class PlaygroundSite(Site):
    """A filled data folder and how to run commands on it."""

    @property
    def environment(self) -> dict[str, str]:
        """As of Site; the encoders are the bundled one."""
        policy = {"OMP_WAIT_POLICY": os.environ["OMP_WAIT_POLICY"]} if "OMP_WAIT_POLICY" in os.environ else {}
        return {**super().environment, "SEARCH_BASE": _BUNDLED, **policy}

    def run(self, *words: str) -> dict[str, Any]:
        """Run a command of benchmarks.playground_site to its end."""
        done = subprocess.run(  # noqa: S603 our own module
            [sys.executable, "-m", "benchmarks.playground_site", *words],
            cwd=_ROOT, env=self.environment, stdout=subprocess.PIPE, check=True,
        )  # fmt: skip
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found


@dataclass(frozen=True, slots=True)
class Place:
    """A data folder with documents and a model in the place of a trained one."""

    site: Site
    corpus: Path
    digest: str
    trained: Path

    @property
    def root(self) -> Path:
        """The data folder."""
        return self.site.folder

    @property
    def searches(self) -> tuple[str, ...]:
        """What the service calls the three searches."""
        return "bm25", BASE, str(self.trained)

    def ask(self, do: str, **values: Any) -> dict[str, Any]:
        """One request to the service."""
        request = {"do": do, "corpus": str(self.corpus), "sha256": self.digest, **values}
        return ask(self.root / "search" / "search.sock", request, connect_seconds=5, answer_seconds=30)


def measure(documents: int = 10_000, *, questions: int = _QUESTIONS, encode: bool = False) -> dict[str, Any]:
    """Run the application on so many documents and time the page. Milliseconds; `encode` has the vectors made."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        place = build(Path(folder), documents, encode=encode)
        with serving(place.site):
            _await_ready(place)
            draw = random.Random(_SEED)
            _pages(place.site, [_question(draw) for _ in range(_WARM_UP)])
            alone = _pages(place.site, [_question(draw) for _ in range(questions)])
            halves = [[_question(draw) for _ in range(questions // 2)] for _ in range(2)]
            with ThreadPoolExecutor(2) as people:
                both = list(people.map(lambda asked: _pages(place.site, asked), halves))
            parts: list[dict[str, float]] = []
            service = _together(place, [_question(draw) for _ in range(questions)], parts)
    return summarise(documents, alone, [one for times in both for one in times], service, parts)


def build(root: Path, count: int, *, encode: bool) -> Place:
    """Fill a data folder."""
    site = PlaygroundSite(root, "")
    site.about = site.run("fill", str(count))
    place = Place(site, Path(site.about["corpus"]), site.about["sha256"], Path(site.about["trained"]))
    shutil.copytree(encoder_folder(_BUNDLED, root / "models"), place.trained)
    if not encode:
        _draw_vectors(place, count)
    return place


def summarise(
    documents: int,
    alone: Sequence[float],
    both: Sequence[float],
    together: Sequence[float],
    parts: Sequence[Mapping[str, float]],
) -> dict[str, Any]:
    """The percentiles: of the page, of the three searches together, and of each as the service measures it."""
    service = {
        f"{name}_service_p95_ms": round(percentile([list(part.values())[at] for part in parts], 0.95), 1)
        for at, name in enumerate(_COLUMNS)
    }
    p95 = percentile(alone, 0.95)
    return {
        "name": "playground", "documents": documents, "questions": len(alone), "value": round(p95, 1), "unit": "ms",
        "checks": {
            "playground_p95_ms": round(p95, 1), "playground_median_ms": round(percentile(alone, 0.5), 1),
            "two_people_p95_ms": round(percentile(both, 0.95), 1), "at_most_ms": _LIMIT, "passed": p95 <= _LIMIT,
            "search_service_p95_ms": round(percentile(together, 0.95), 1), **service,
        },
    }  # fmt: skip


def _pages(site: Site, questions: Sequence[str]) -> list[float]:
    """Milliseconds until the page of each question is read, all three columns of it filled."""
    times = []
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=60)
    for text in questions:
        path = f"/p/{site.about['slug']}/playground/?{urlencode({'q': text})}"
        began = time.perf_counter()
        status, body = site.get(path, connection)
        times.append(1000 * (time.perf_counter() - began))
        if status != 200 or any(f'id="hit-{column}-'.encode() not in body for column in _COLUMNS):
            raise SystemExit(f"Status {status}, or a column without documents, for {path}")
    connection.close()
    return times


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
    return " ".join(draw.choices(query_words(), k=draw.randint(*_WORDS)))


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
        print(f"95 % of questions have their page with all three searches within {checks['playground_p95_ms']:.0f} ms")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
