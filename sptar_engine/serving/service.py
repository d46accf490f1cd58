"""What the search service does for each kind of request (sptar_engine.serving.wire carries them)."""

from __future__ import annotations

import os
import random
import resource
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sptar_engine.artifacts import read_json
from sptar_engine.records import Hit
from sptar_engine.retrieval.feedback import move_towards
from sptar_engine.retrieval.reordering import put_beside, reorder
from sptar_engine.serving import making
from sptar_engine.serving.backends import Backends
from sptar_engine.serving.builds import State
from sptar_engine.serving.clusters import suggest_rows
from sptar_engine.serving.corpora import OpenCorpus
from sptar_engine.serving.library import BASE, CorpusName, Library
from sptar_engine.serving.requests import Request
from sptar_engine.serving.stock import BM25, TOPICS, Stock
from sptar_engine.serving.vectors import VECTORS_FILE, nearest
from sptar_engine.serving.wire import Refusal

_DEPTH = 1000  # hits of one search, at most
_SUGGESTIONS = 100
_K1, _B = 0.9, 0.4  # Anserini's defaults
_LOADING = 2.0  # seconds that a search waits for its encoder
_READ = 50  # hits of BM25 that a model reads, as evaluate's default: about two seconds on two cores

Search = Callable[[Request, CorpusName, str], list[Hit]]


class Service:
    """Answers requests. Everything that takes longer than a search happens in the background, in `builds`."""

    def __init__(self, library: Library, backends: Backends) -> None:
        self._backends = backends
        self._stock = Stock(library, backends)
        self._started = time.monotonic()
        self.builds = self._stock.builds
        self._kinds: dict[str, Callable[[Request], dict[str, Any]]] = {
            "ping": lambda request: {}, "status": self._status, "search": self._search, "prepare": self._prepare,
            "state": self._state, "readiness": self._readiness, "stop": self._stop, "suggest": self._suggest,
            "topics": self._topics, "topics_of": self._topics_of, "drop": self._drop,
        }  # fmt: skip

    def start(self) -> None:
        """Start Java, then the builder; load the base encoder when there are vectors to search by it."""
        self._backends.start()
        self.builds.start()
        library = self._stock.library
        try:
            base = library.encoder(BASE)
        except Refusal:
            return  # whoever asks for it is told why
        if any(library.cache.glob(f"corpora/*/vectors-{base.key}/{VECTORS_FILE}")):
            self._stock.encoders.begin(base)

    def answer(self, values: dict[str, Any]) -> dict[str, Any]:
        """Answer one request. Raises Refusal, with the sentence for the person; the server has one for all else."""
        request = Request(values)
        kind = self._kinds.get(request.text("do", ""))
        if kind is None:
            raise Refusal("refused", f"The search service knows no such request; it knows {', '.join(self._kinds)}.")
        return kind(request)

    def _status(self, request: Request) -> dict[str, Any]:
        del request
        return {
            "pid": os.getpid(),
            "seconds": round(time.monotonic() - self._started),
            "corpora": len(self._stock.corpora),
            "encoders": len(self._stock.encoders),
            "memory_mb": _memory_mb(),
            "builds": [{"what": key[1], **_row(state)} for key, state in self.builds.all().items()],
        }

    def _search(self, request: Request) -> dict[str, Any]:
        """With `look` a search that is not ready is refused and nothing begins to be built for it."""
        start = time.perf_counter()
        corpus, retriever = self._corpus(request), request.text("retriever", BM25)
        search = self._by_both if request.text("fusion", "") else self._search_for(retriever)
        hits = [(hit.doc_id, hit.score) for hit in search(request, corpus, retriever)]
        return {"hits": hits, "milliseconds": round(1000 * (time.perf_counter() - start), 1)}

    def _search_for(self, retriever: str) -> Search:
        if retriever == BM25:
            return self._by_words
        return self._by_reading if self._stock.library.encoder(retriever).reads else self._by_meaning

    def _by_words(self, request: Request, name: CorpusName, retriever: str) -> list[Hit]:
        text, depth = request.text("text"), request.count("depth", 20, _DEPTH)
        k1, b = request.number("k1", _K1, 100), request.number("b", _B, 1)
        self._stock.require(name, retriever, begin=not request.flag("look"))
        with self._stock.corpora.using(name) as corpus:
            return self._stock.read(name, retriever, lambda folder: corpus.search(text, depth, k1, b))

    def _by_meaning(self, request: Request, name: CorpusName, retriever: str) -> list[Hit]:
        text, depth = request.text("text"), request.count("depth", 20, _DEPTH)
        encoder = self._stock.require_encoder(name, retriever, begin=not request.flag("look"))
        if not text.strip():
            self._stock.encoders.begin(encoder)  # somebody is about to type
            return []
        with self._stock.corpora.using(name) as corpus:
            vectors = self._stock.read(name, retriever, corpus.vectors)
            query = self._stock.encoders.soon(encoder, _LOADING).query(text)
            return nearest(vectors, query, corpus.ids, depth)

    def _by_both(self, request: Request, name: CorpusName, retriever: str) -> list[Hit]:
        """BM25 and an encoder put together as the `fusion` of a finished fuse step says."""
        text, depth = request.text("text"), request.count("depth", 20, _DEPTH)
        k1, b = request.number("k1", _K1, 100), request.number("b", _B, 1)
        fusion = self._stock.library.fusion(request.text("fusion"))
        begin = not request.flag("look")
        encoder = self._stock.require_encoder(name, retriever, begin=begin)
        self._stock.require(name, BM25, begin=begin)
        if not text.strip():
            self._stock.encoders.begin(encoder)  # somebody is about to type
            return []
        with self._stock.corpora.using(name) as corpus:
            words = self._stock.read(name, BM25, lambda folder: corpus.search(text, fusion.depth, k1, b))
            vectors = self._stock.read(name, retriever, corpus.vectors)
            query = self._stock.encoders.soon(encoder, _LOADING).query(text)
            meaning = nearest(vectors, query, corpus.ids, fusion.depth)
            if (again := fusion.feedback) is not None:
                found = again.first.fuse({text: words}, {text: meaning}, again.documents)[text]
                query = move_towards(query, vectors[[corpus.rows[hit.doc_id] for hit in found]], again.rate)
                meaning = nearest(vectors, query, corpus.ids, fusion.depth)
        return fusion.fuse({text: words}, {text: meaning}, depth)[text]

    def _by_reading(self, request: Request, name: CorpusName, retriever: str) -> list[Hit]:
        """BM25's first hits in the order of a model that reads them, then its others."""
        text, depth = request.text("text"), request.count("depth", 20, _DEPTH)
        k1, b = request.number("k1", _K1, 100), request.number("b", _B, 1)
        encoder = self._stock.require_encoder(name, retriever, begin=not request.flag("look"))
        if not text.strip():
            self._stock.encoders.begin(encoder)  # somebody is about to type
            return []
        fusion = self._stock.library.beside(encoder)
        read = _READ if fusion is None else min(_READ, fusion.depth)
        reader = self._stock.encoders.soon(encoder, _LOADING)
        with self._stock.corpora.using(name) as corpus:
            found = self._stock.read(name, BM25, lambda folder: corpus.search(text, max(depth, read), k1, b))
            texts = {hit.doc_id: corpus.documents[hit.doc_id].content for hit in found[:read]}
        scores = dict(zip(texts, reader.read(text, list(texts.values())), strict=True))
        return reorder(found, put_beside(found, scores, fusion), depth)

    def _prepare(self, request: Request) -> dict[str, Any]:
        return _row(self._stock.begin(self._corpus(request), request.text("what"), again=True))

    def _state(self, request: Request) -> dict[str, Any]:
        return _row(self._stock.state(self._corpus(request), request.text("what")))

    def _readiness(self, request: Request) -> dict[str, Any]:
        corpus = self._corpus(request)
        return {what: _row(self._stock.state(corpus, what)) for what in (BM25, BASE, TOPICS)}

    def _stop(self, request: Request) -> dict[str, Any]:
        self._stock.cancel(self._corpus(request), request.text("what"))
        return {}

    def _suggest(self, request: Request) -> dict[str, Any]:
        name, count = self._corpus(request), request.count("n", 1, _SUGGESTIONS)
        exclude, covered = request.ids("exclude"), request.ids("covered")
        self._stock.require(name, BM25)
        with self._stock.corpora.using(name) as corpus:
            if self._stock.state(name, TOPICS) != State("ready"):
                drawn = self._stock.read(name, BM25, lambda folder: _drawn(corpus, exclude, count))
                return {"documents": [(doc_id, None) for doc_id in drawn], "topics": []}
            vectors = self._stock.read(name, BASE, corpus.vectors)
            clusters = self._stock.read(name, TOPICS, corpus.clusters)
            rows = suggest_rows(clusters, vectors, _rows(corpus, exclude), _rows(corpus, covered), count)
            documents = [(corpus.ids[row], int(clusters.topic[row])) for row in rows]
        return {"documents": documents, "topics": self._described(name)}

    def _topics(self, request: Request) -> dict[str, Any]:
        corpus = self._corpus(request)
        self._stock.require(corpus, TOPICS)
        return {"topics": self._described(corpus)}

    def _topics_of(self, request: Request) -> dict[str, Any]:
        name, doc_ids = self._corpus(request), request.ids("doc_ids")
        self._stock.require(name, TOPICS)
        with self._stock.corpora.using(name) as corpus:
            topic = self._stock.read(name, TOPICS, corpus.clusters).topic
            return {"topics_of": {key: int(topic[corpus.rows[key]]) for key in doc_ids if key in corpus.rows}}

    def _drop(self, request: Request) -> dict[str, Any]:
        corpus = self._corpus(request)
        self._stock.cancel(corpus)
        self._stock.corpora.close(corpus)
        if request.flag("files"):
            shutil.rmtree(corpus.folder, ignore_errors=True)
        return {}

    def _corpus(self, request: Request) -> CorpusName:
        return self._stock.library.corpus(request.values.get("corpus"), request.values.get("sha256"))

    def _described(self, corpus: CorpusName) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self._stock.read(
            corpus, TOPICS, lambda folder: read_json(folder / making.TOPICS_FILE)
        )
        return rows


def _memory_mb() -> int:
    """Memory in use; where the system does not tell, the most that was."""
    statm = Path("/proc/self/statm")
    if statm.is_file():
        return int(statm.read_text().split()[1]) * resource.getpagesize() >> 20
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(most) >> (20 if sys.platform == "darwin" else 10)


def _drawn(corpus: OpenCorpus, exclude: list[str], count: int) -> list[str]:
    """Documents by chance: the same ones as long as the same number is excluded."""
    taken = set(exclude)
    free = [doc_id for doc_id in corpus.ids if doc_id not in taken]
    return random.Random(f"{corpus.name.sha256} {len(taken)}").sample(free, min(count, len(free)))


def _rows(corpus: OpenCorpus, doc_ids: list[str]) -> list[int]:
    return [corpus.rows[doc_id] for doc_id in doc_ids if doc_id in corpus.rows]


def _row(state: State) -> dict[str, Any]:
    return {"state": state.state, "done": state.done, "total": state.total, "message": state.message}
