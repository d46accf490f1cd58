"""Open corpora: what a search needs at hand. Those that were not used for longest are closed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from sptar_engine.artifacts import read_json, write_json
from sptar_engine.data.beir import FileCorpus, read_corpus
from sptar_engine.errors import ArtifactError, StageError
from sptar_engine.records import Hit
from sptar_engine.serving.backends import Searcher
from sptar_engine.serving.clusters import Clusters, open_clusters
from sptar_engine.serving.library import CorpusName
from sptar_engine.serving.vectors import Vectors, open_vectors

IDS_FILE = "ids.txt"
INDEX_FILE = "bm25.json"  # names the index; written when all that BM25 needs is there

_OPEN = 8  # corpora
_DOCUMENTS = 2_000_000  # of all open corpora: about 100 bytes each, for their ids
_SEARCHERS = 4  # of one corpus, each with its own k1 and b
_QUERY = "query"

OpenIndex = Callable[[Path, float, float], Searcher]


@dataclass(slots=True)
class _Lexical:
    lock: threading.Lock = field(default_factory=threading.Lock)
    searchers: dict[tuple[float, float], Searcher] = field(default_factory=dict)


class OpenCorpus:
    """A corpus whose files are opened when they are asked for. Used by several threads."""

    def __init__(self, name: CorpusName, open_index: OpenIndex) -> None:
        self.name = name
        self.users = 0
        self._open_index = open_index
        self._lexical = _Lexical()

    def search(self, text: str, depth: int, k1: float, b: float) -> list[Hit]:
        """BM25. Raises StageError and ArtifactError when the index is damaged or gone."""
        with self._lexical.lock:  # Anserini's searcher is meant for one caller
            searcher = self._lexical.searchers.pop((k1, b), None)
            if searcher is None:
                index = self.name.folder / str(read_json(self.name.folder / INDEX_FILE).get("index"))
                searcher = self._open_index(index, k1, b)
            self._lexical.searchers[k1, b] = searcher
            while len(self._lexical.searchers) > _SEARCHERS:
                self._lexical.searchers.pop(next(iter(self._lexical.searchers))).close()
            return searcher.search({_QUERY: text}, depth)[_QUERY]

    @cached_property
    def ids(self) -> list[str]:
        """Ids of all documents, in corpus order. Raises ArtifactError when the list is gone."""
        return read_ids(self.name.folder)

    @cached_property
    def rows(self) -> dict[str, int]:
        """The place of each id in `ids`."""
        return {doc_id: row for row, doc_id in enumerate(self.ids)}

    @cached_property
    def documents(self) -> FileCorpus:
        """The documents themselves, read from the file when they are asked for; begun with a look at all of it.

        Raises InputError when the file is not a corpus any more.
        """
        return read_corpus(self.name.path.parent)

    def vectors(self, folder: Path) -> Vectors:
        """Its vectors by one encoder, mapped into memory. Raises StageError when they are damaged."""
        return open_vectors(folder, len(self.ids))

    def clusters(self, folder: Path) -> Clusters:
        """Its topics. Raises StageError when they are damaged."""
        return open_clusters(folder, len(self.ids))

    @property
    def weight(self) -> int:
        """Documents whose ids are held."""
        return len(self.ids) if "ids" in self.__dict__ else 0

    def close(self) -> None:
        """Free what it holds. It opens again when it is used again."""
        with self._lexical.lock:
            for searcher in self._lexical.searchers.values():
                searcher.close()
            self._lexical.searchers.clear()
        for name in ("ids", "rows", "documents"):
            self.__dict__.pop(name, None)


class Corpora:
    """The open corpora, bounded by number and by documents. One that is in use stays."""

    def __init__(self, open_index: OpenIndex) -> None:
        self._open_index = open_index
        self._lock = threading.Lock()
        self._open: dict[str, OpenCorpus] = {}

    @contextmanager
    def using(self, name: CorpusName) -> Iterator[OpenCorpus]:
        """A corpus for the length of the block."""
        with self._lock:
            corpus = self._open.pop(name.sha256, None) or OpenCorpus(name, self._open_index)
            self._open[name.sha256] = corpus
            corpus.users += 1
        try:
            yield corpus
        finally:
            with self._lock:
                corpus.users -= 1
                self._make_room()

    def close(self, name: CorpusName) -> None:
        """Close one corpus, such as one whose files go."""
        with self._lock:
            corpus = self._open.pop(name.sha256, None)
        if corpus is not None:
            corpus.close()

    def __len__(self) -> int:
        return len(self._open)

    def _make_room(self) -> None:
        for digest in [digest for digest, corpus in self._open.items() if not corpus.users]:
            held = sum(corpus.weight for corpus in self._open.values())
            if len(self._open) <= _OPEN and (held <= _DOCUMENTS or len(self._open) == 1):
                return
            self._open.pop(digest).close()


def read_ids(folder: Path) -> list[str]:
    """Ids of all documents of a corpus, in corpus order. Raises ArtifactError when the list is gone."""
    try:
        text = (folder / IDS_FILE).read_text(encoding="utf-8")
    except OSError as error:
        raise ArtifactError(f"{folder / IDS_FILE} cannot be read: {error}") from error
    return text.removesuffix("\n").split("\n")  # not splitlines: an id may hold other separators


def write_index_name(folder: Path, index: Path) -> None:
    """Say which index belongs to the corpus: from then on BM25 is ready. Raises StageError when it lies elsewhere."""
    if index.parent != folder:
        raise StageError(f"{index} does not lie in {folder}.")
    write_json(folder / INDEX_FILE, {"index": index.name})
