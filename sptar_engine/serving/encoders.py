"""Loaded encoders: a few at a time, shared by searches and builds, searches first."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol, runtime_checkable

from sptar_engine.errors import SptarError
from sptar_engine.retrieval.kinds import DOCUMENT, QUERY
from sptar_engine.serving.library import EncoderName
from sptar_engine.serving.vectors import Vectors
from sptar_engine.serving.wire import Refusal

_CANNOT_BE_LOADED = (
    "The search model cannot be loaded. Tell the person who runs this machine, who finds the reason in the log of the "
    "search service."
)
_log = logging.getLogger(__name__)

_LIMIT = 3  # encoders in memory: 90 MB for the bundled one, 0.5 GB for one of BERT's size


class Model(Protocol):
    """Turns texts into normalised vectors, (texts, dimensions) in float32."""

    dimensions: int

    def encode(self, texts: Sequence[str], side: str, number_format: str = "") -> Vectors:
        """Encode a batch of one `side` of a search, `kinds.QUERY` or `kinds.DOCUMENT`.

        `number_format` is one that `settle_format` gave; float32 without it.
        """

    def settle_format(self, documents: int, folder: Path) -> str:
        """In which a corpus of so many documents is encoded; `folder` keeps what was settled."""


@runtime_checkable
class Reader(Protocol):
    """Scores documents for a query; the higher, the better."""

    def read(self, query: str, texts: Sequence[str]) -> list[float]:
        """A score for each text."""


class Encoder:
    """A loaded model, used by one thread at a time, since tokenizers cannot bear two. Queries go before documents."""

    def __init__(self, model: Model | Reader) -> None:
        """A Reader is asked to `read` alone, a Model for vectors."""
        self._reader = model if isinstance(model, Reader) else None
        self._model = None if isinstance(model, Reader) else model
        self._free = threading.Condition()
        self._taken = False
        self._queries = 0

    @property
    def dimensions(self) -> int:
        """Of a vector."""
        return self._encoding.dimensions

    def query(self, text: str) -> Vectors:
        """The vector of a query, (dimensions,)."""
        with self._first():
            vector: Vectors = self._encoding.encode([text], QUERY)[0]
            return vector

    def corpus(self, documents: int, folder: Path) -> Callable[[Sequence[str]], Vectors]:
        """What gives the vectors of a batch, (texts, dimensions), of a corpus of so many documents, kept in `folder`.

        A batch is encoded as soon as no query waits.
        """
        with self._last():
            number_format = self._encoding.settle_format(documents, folder)

        def encode(texts: Sequence[str]) -> Vectors:
            with self._last():
                return self._encoding.encode(texts, DOCUMENT, number_format)

        return encode

    def read(self, query: str, texts: Sequence[str]) -> list[float]:
        """A score of each text for the query."""
        assert self._reader is not None, "a bi-encoder has vectors to be compared"
        with self._first():
            return self._reader.read(query, texts)

    @property
    def _encoding(self) -> Model:
        assert self._model is not None, "a reader has no vectors"
        return self._model

    @contextmanager
    def _first(self) -> Iterator[None]:
        """The turn of a query, before all documents that wait."""
        with self._free:
            self._queries += 1
        try:
            with self._turn(lambda: not self._taken):
                yield
        finally:
            with self._free:
                self._queries -= 1
                self._free.notify_all()

    def _last(self) -> AbstractContextManager[None]:
        """The turn of documents, when no query waits."""
        return self._turn(lambda: not self._taken and not self._queries)

    @contextmanager
    def _turn(self, may_go: Callable[[], bool]) -> Iterator[None]:
        with self._free:
            self._free.wait_for(may_go)
            self._taken = True
        try:
            yield
        finally:
            with self._free:
                self._taken = False
                self._free.notify_all()


class Encoders:
    """The encoders in memory; the one that was not used for longest makes room."""

    def __init__(self, load: Callable[[Path, int], Model | Reader]) -> None:
        """`load` takes the folder, and how many tokens of a text are read."""
        self._load = load
        self._lock = threading.Lock()
        self._loaded: dict[str, Future[Encoder]] = {}

    def begin(self, name: EncoderName) -> Future[Encoder]:
        """Begin to load in a thread of its own, unless that has been done."""
        with self._lock:
            future = self._loaded.pop(name.key, None)
            if future is None or (future.done() and future.exception()):
                future = Future()
                threading.Thread(target=self._fill, args=(future, name), name="load", daemon=True).start()
            self._loaded[name.key] = future
            while len(self._loaded) > _LIMIT:
                del self._loaded[next(iter(self._loaded))]
        return future

    def get(self, name: EncoderName) -> Encoder:
        """Wait for an encoder. Raises what loading it raises, such as InputError."""
        return self.begin(name).result()

    def soon(self, name: EncoderName, seconds: float) -> Encoder:
        """An encoder that is there within `seconds`. Raises Refusal when it is not; loading goes on."""
        try:
            return self.begin(name).result(seconds)
        except NotYet:
            raise Refusal(
                "building", "The search model is being loaded; that takes some seconds after a start.", done=0, total=0
            ) from None
        except SptarError as error:
            raise Refusal("failed", f"The search model cannot be loaded: {error}") from error
        except (OSError, RuntimeError, ValueError) as error:
            _log.warning("the search model cannot be loaded", exc_info=error)
            raise Refusal("failed", _CANNOT_BE_LOADED) from error

    def __len__(self) -> int:
        with self._lock:
            return sum(future.done() and not future.exception() for future in self._loaded.values())

    def _fill(self, future: Future[Encoder], name: EncoderName) -> None:
        try:
            future.set_result(Encoder(self._load(name.folder, name.max_length)))
        except (SptarError, OSError, RuntimeError, ValueError, MemoryError, ImportError) as error:
            future.set_exception(error)
