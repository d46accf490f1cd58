"""A service on light stand-ins for Lucene and torch, behind a real socket."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sptar_engine.artifacts import sha256_file
from sptar_engine.errors import StageError
from sptar_engine.records import Hit, rank_hits
from sptar_engine.serving.backends import Backends
from sptar_engine.serving.library import Library
from sptar_engine.serving.server import Server
from sptar_engine.serving.service import Service
from sptar_engine.serving.vectors import Vectors
from sptar_engine.serving.wire import ask

_SUBJECTS = {"wing": 1, "heat": 2, "shock": 4}
DIMENSIONS = 8


class WordSearcher:
    """Counts words that query and document share; k1 scales the score, so that it can be seen to arrive."""

    def __init__(self, index: Path, k1: float, b: float) -> None:
        try:
            self._documents = json.loads((index / "documents.json").read_text())
        except (OSError, ValueError) as error:
            raise StageError("the index is damaged") from error
        self._k1 = k1

    def search(self, queries: Mapping[str, str], depth: int) -> dict[str, list[Hit]]:
        found = {}
        for key, text in queries.items():
            words = set(text.split())
            scores = {doc_id: len(words & set(body.split())) for doc_id, body in self._documents.items()}
            found[key] = rank_hits((Hit(doc_id, self._k1 * score) for doc_id, score in scores.items() if score), depth)
        return found

    def close(self) -> None:
        self._documents = {}


def build_words(corpus: Path, cache: Path, tick: Callable[[int], None]) -> Path:
    rows = [json.loads(line) for line in corpus.read_text().splitlines()]
    tick(len(rows))
    index = cache / "bm25-0123456789abcdef"
    index.mkdir(parents=True, exist_ok=True)
    (index / "documents.json").write_text(json.dumps({row["_id"]: row["text"] for row in rows}))
    return index


class SubjectModel:
    """A vector is the subject of a text and a little noise that is the same for the same text."""

    dimensions = DIMENSIONS

    def settle_format(self, documents: int, folder: Path) -> str:
        return "float32"

    def encode(self, texts: Sequence[str], side: str, number_format: str = "") -> Vectors:
        vectors = np.stack([self._vector(text) for text in texts])
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    def _vector(self, text: str) -> Any:
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
        vector = 0.1 * np.random.default_rng(seed).standard_normal(DIMENSIONS)
        for subject, axis in _SUBJECTS.items():
            vector[axis] += subject in text
        return vector


def light_backends(**changes: Any) -> Backends:
    parts: dict[str, Any] = {
        "start": lambda: None, "build_index": build_words, "open_index": WordSearcher,
        "load_model": lambda folder, max_length: SubjectModel(),
    }  # fmt: skip
    return Backends(**(parts | changes))


def write_corpus(folder: Path, texts: Mapping[str, str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "corpus.jsonl"
    file.write_text("".join(json.dumps({"_id": key, "title": "", "text": text}) + "\n" for key, text in texts.items()))
    return file


def subject_texts(count: int) -> dict[str, str]:
    """Documents on three subjects in turn, the first one a bit more often."""
    names = ("wing", "heat", "shock", "wing")
    return {f"d{number:03d}": f"{names[number % 4]} study number{number}" for number in range(count)}


class Running:
    """A service that answers; `ask` names `corpus` in each request."""

    def __init__(self, root: Path, backends: Backends) -> None:
        self.root = root
        self.corpus = write_corpus(root / "one", subject_texts(64))
        (root / "model").mkdir(exist_ok=True)
        (root / "model" / "config.json").write_text("{}")
        (root / "model" / "weights.safetensors").write_text("weights")
        self.library = Library(root, root / "cache", root / "models", str(root / "model"))
        self.service = Service(self.library, backends)
        self.server = Server(root / "s.sock", self.service.answer)
        self.server.open()
        self.service.start()
        self._thread = threading.Thread(target=self.server.serve, args=(lambda: True,), daemon=True)
        self._thread.start()

    def ask(self, do: str, corpus: Path | None = None, **values: Any) -> dict[str, Any]:
        file = corpus or self.corpus
        digest = values.pop("sha256", None) or sha256_file(file)
        return self.send({"do": do, "corpus": str(file), "sha256": digest, **values})

    def send(self, request: dict[str, Any]) -> dict[str, Any]:
        return ask(self.root / "s.sock", request, connect_seconds=5, answer_seconds=10)

    def ready(self, *what: str) -> None:
        for one in what:
            self.ask("prepare", what=one)
        assert self.service.builds.idle(30)

    def stop(self) -> None:
        """Stop; a second time is no matter."""
        if not self._thread.is_alive():
            return
        self.server.stop()
        self._thread.join(10)
        self.server.close(1)
        assert self.service.builds.stop(10)
