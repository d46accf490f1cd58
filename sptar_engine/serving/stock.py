"""What is at hand for a corpus, and what has to be made first. What is found damaged is thrown away and made anew."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sptar_engine.errors import ArtifactError, StageError
from sptar_engine.serving import making
from sptar_engine.serving.backends import Backends
from sptar_engine.serving.builds import ABSENT, BUILDING, FAILED, READY, Builds, State, Steps, Tick
from sptar_engine.serving.corpora import INDEX_FILE, Corpora
from sptar_engine.serving.encoders import Encoders
from sptar_engine.serving.library import BASE, CorpusName, EncoderName, Library
from sptar_engine.serving.wire import Refusal

BM25, TOPICS = "bm25", "topics"
"""Besides these, an encoder's name stands for the vectors by it."""

_URGENT, _SOON, _LATER = 0, 1, 2  # priorities: an index takes seconds, topics too, vectors may take hours
_NAMES = {BM25: "The index of these documents", TOPICS: "The list of topics"}
_VECTORS = "The index of these documents for the search model"

Read = TypeVar("Read")


class Stock:
    """Index, vectors and topics of all corpora."""

    def __init__(self, library: Library, backends: Backends) -> None:
        self.library = library
        self.builds = Builds()
        self.corpora = Corpora(backends.open_index)
        self.encoders = Encoders(backends.load_model)
        self._backends = backends

    def state(self, corpus: CorpusName, what: str) -> State:
        """Where it stands; starts nothing. Topics stand where the vectors do until these are there."""
        if self._is_lexical(what):
            return State(READY) if making.has_index(corpus) else self.builds.state((corpus.sha256, BM25))
        encoder = self._encoder(what)
        if what != TOPICS:
            is_there = making.has_vectors(corpus, encoder)
            return State(READY) if is_there else self.builds.state((corpus.sha256, encoder.key))
        if making.has_topics(corpus, encoder):
            return State(READY)
        state = self.builds.state((corpus.sha256, TOPICS))
        return self.builds.state((corpus.sha256, encoder.key)) if state.state == ABSENT else state

    def begin(self, corpus: CorpusName, what: str, *, again: bool = False) -> State:
        """Have it made unless it is there. `again` tries at once what has just failed. Raises Refusal."""
        if not corpus.path.is_file():
            raise Refusal(FAILED, "The file with these documents is gone.")
        if self._is_lexical(what):
            return State(READY) if making.has_index(corpus) else self._index(corpus, again)
        encoder = self._encoder(what)
        if not making.has_vectors(corpus, encoder):
            return self._encode(corpus, encoder, again)
        if what == TOPICS and not making.has_topics(corpus, encoder):
            return self._find_topics(corpus, encoder, again)
        return State(READY)

    def require(self, corpus: CorpusName, what: str, *, begin: bool = True) -> None:
        """Raise Refusal unless it is there; it is then begun, but for the encoding that topics need (hours).

        Without `begin` nothing is.
        """
        is_cheap = what != TOPICS or making.has_vectors(corpus, self._encoder(what))
        state = self.begin(corpus, what) if begin and is_cheap else self.state(corpus, what)
        if state.state == READY:
            return
        name = _NAMES.get(BM25 if self._is_lexical(what) else what, _VECTORS)
        if state.state == ABSENT:
            topics = "The topics of these documents have not been looked for yet."
            raise Refusal(ABSENT, topics if what == TOPICS else f"{name} has not been built yet.")
        if state.state == FAILED:
            raise Refusal(FAILED, f"{name} could not be built: {state.message}")
        share = f" ({100 * state.done // state.total} %)" if state.total else ""
        raise Refusal(BUILDING, f"{name} is still being built{share}.", done=state.done, total=state.total)

    def require_encoder(self, corpus: CorpusName, what: str, *, begin: bool = True) -> EncoderName:
        """The same for vectors and topics; returns the encoder they were made by."""
        self.require(corpus, what, begin=begin)
        return self._encoder(what)

    def read(self, corpus: CorpusName, what: str, read: Callable[[Path], Read]) -> Read:
        """What `read` makes of the folder that holds it. Damaged files are made anew; Refusal is raised meanwhile."""
        folder = corpus.folder if what == BM25 else making.vectors_folder(corpus, self._encoder(what))
        try:
            return read(folder)
        except (StageError, ArtifactError):
            self.corpora.close(corpus)
            _throw_away(folder, what)
            self.require(corpus, what)
            raise

    def cancel(self, corpus: CorpusName, what: str | None = None) -> None:
        """Call off what is being made, or all of it."""
        key = what if what in (BM25, TOPICS, None) else self._encoder(what or BASE).key
        self.builds.cancel(lambda build: build[0] == corpus.sha256 and key in (build[1], None))

    def _is_lexical(self, what: str) -> bool:
        """Whether all it takes is BM25's index: an encoder that reads BM25's hits needs nothing else."""
        return what == BM25 or (what != TOPICS and self._encoder(what).reads)

    def _encoder(self, what: str) -> EncoderName:
        return self.library.encoder(BASE if what == TOPICS else what)

    def _index(self, corpus: CorpusName, again: bool) -> State:
        def steps(tick: Tick) -> making.Steps:
            return making.make_index(corpus, self._backends, tick)

        return self._ask(corpus, BM25, _URGENT, steps, again)

    def _encode(self, corpus: CorpusName, encoder: EncoderName, again: bool) -> State:
        def steps(tick: Tick) -> making.Steps:
            yield from making.make_vectors(corpus, encoder, self.encoders, tick)
            if encoder == self.library.encoder(BASE):
                self._find_topics(corpus, encoder, again=False)

        return self._ask(corpus, encoder.key, _LATER, steps, again)

    def _find_topics(self, corpus: CorpusName, encoder: EncoderName, again: bool) -> State:
        def steps(tick: Tick) -> making.Steps:
            return making.make_topics(corpus, encoder, tick)

        return self._ask(corpus, TOPICS, _SOON, steps, again)

    def _ask(self, corpus: CorpusName, what: str, priority: int, steps: Steps, again: bool) -> State:
        return self.builds.ask((corpus.sha256, what), priority, steps, again=again)


def _throw_away(folder: Path, what: str) -> None:
    if what == BM25:
        (folder / INDEX_FILE).unlink(missing_ok=True)
        for index in folder.glob("bm25-*"):
            shutil.rmtree(index, ignore_errors=True)
    elif what == TOPICS:
        (folder / making.TOPICS_FILE).unlink(missing_ok=True)
    else:
        shutil.rmtree(folder, ignore_errors=True)
