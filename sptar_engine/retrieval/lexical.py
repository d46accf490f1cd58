"""BM25 by Lucene, with Anserini's analyzer for English (stop words, Porter's stemmer): index and search."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Self, TypeVar

from sptar_engine.artifacts import sha256_file, sha256_json
from sptar_engine.data.beir import iter_documents
from sptar_engine.data.lines import clean_text
from sptar_engine.errors import StageError
from sptar_engine.records import Document, Hit
from sptar_engine.retrieval.java import java_class, java_errors

_FORMAT = "anserini-1.7, default English analyzer, title + text, 1"  # part of an index's name: raise when it changes
_BATCH = 2000  # documents handed to Java at a time
_BUFFER = 64  # MiB of postings that Lucene holds before it writes them
_QUERY_CHARACTERS = 8192  # of a query; the rest is ignored
_HITS = 200_000  # that Java holds at a time, about 500 bytes each
_QUERIES = 1000  # searched at a time

Item = TypeVar("Item")


def build_or_open(corpus_path: Path, cache: Path, tick: Callable[[int], None] | None = None) -> Path:
    """Return the folder of the index of a corpus.jsonl; it is built when `cache` does not have it yet.

    Its name is made from the content of the corpus. It is built aside and renamed, so it is whole when it is there,
    and under a lock, so that a second process waits and finds it. A document is indexed as its `content`. `tick` is
    called with the number of documents done, once per batch, and may raise to stop.

    Raises InputError for a bad corpus, StageError when Lucene fails (a full disk).
    """
    name = f"bm25-{sha256_json([_FORMAT, sha256_file(corpus_path)])[:16]}"
    index = cache / name
    if index.is_dir():
        return index
    cache.mkdir(parents=True, exist_ok=True)
    unfinished = cache / f".{name}.unfinished"
    with _locked(cache / f".{name}.lock"):
        if not index.is_dir():
            shutil.rmtree(unfinished, ignore_errors=True)  # of a process that was killed
            try:
                _build(iter_documents(corpus_path), unfinished, tick)
                os.rename(unfinished, index)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)  # on a full disk, half an index is in the way
    return index


class LexicalSearcher:
    """BM25 over an index folder, on all processors. Close it, or use it in a `with` statement, to free its files.

    Only the first 8,192 characters of a query count: Lucene refuses a query of more words than a limit, which is set
    so that no query of that length reaches it.
    """

    def __init__(self, index: Path, k1: float = 0.9, b: float = 0.4) -> None:
        """Open the index; `k1` and `b` default to Anserini's values. Raises StageError when it is damaged."""
        with java_errors(f"opening the index {index} (delete that folder and it is built anew)"):
            java_class("org.apache.lucene.search.IndexSearcher").setMaxClauseCount(_QUERY_CHARACTERS)
            self._searcher = java_class("io.anserini.search.SimpleSearcher")(str(index))
            self._searcher.set_bm25(k1, b)
            # Lucene is asked for the order (-score, id). Anserini would lower the scores of ties after that, each by
            # another millionth; without re-rankers they stay what they are. The list is emptied, not replaced:
            # pyjnius 1.9 frees an object that is assigned to a Java field, and the next collection crashes on it.
            self._searcher.cascade.rerankers.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the files of the index."""
        self._searcher.close()

    def search(self, queries: Mapping[str, str], depth: int) -> dict[str, list[Hit]]:
        """Return the first `depth` hits of each query text by query id, ordered by (-score, doc_id).

        Ties are in order at the cut too. A query without a word that counts has no hits.
        """
        found = self._search(queries.values(), depth)
        return {key: [Hit(hit.docid, hit.score) for hit in hits] for key, hits in zip(queries, found, strict=True)}

    def _search(self, texts: Iterable[str], depth: int) -> Iterator[Any]:
        """The Java hits of each query in turn."""
        size = max(1, min(_QUERIES, _HITS // depth))
        for batch in _batches(texts, size):
            array_list = java_class("java.util.ArrayList")
            queries, keys = array_list(), array_list()
            for position, text in enumerate(batch):
                queries.add(query_text(text))
                keys.add(str(position))
            with java_errors("searching"):
                found = self._searcher.batch_search(queries, keys, depth, os.cpu_count() or 1)
            for position in range(len(batch)):
                yield found.get(str(position))


def query_text(text: str) -> str:
    """What of a query counts: its first 8,192 characters, and none that Java could not take."""
    return clean_text(text)[0][:_QUERY_CHARACTERS]


def _build(documents: Iterable[Document], folder: Path, tick: Callable[[int], None] | None) -> None:
    settings = java_class("io.anserini.index.IndexCollection$Args")()
    settings.index, settings.collectionClass = str(folder), "JsonCollection"
    settings.threads, settings.memoryBuffer = os.cpu_count() or 1, _BUFFER
    count = 0
    with java_errors("building an index"):
        indexer = java_class("io.anserini.index.SimpleIndexer")(settings)
        whole = False
        try:
            for batch in _batches(documents, _BATCH):
                indexer.addRawDocuments([_row(document) for document in batch])
                count += len(batch)
                if tick:
                    tick(count)
            whole = True
        finally:
            indexer.close(whole)  # when all are in, merge them into one segment
    _check(folder, count)


def _row(document: Document) -> str:
    # JSON in ASCII: pyjnius hands that over unchanged whatever the text holds.
    return json.dumps({"id": document.doc_id, "contents": document.content})


def _check(folder: Path, count: int) -> None:
    """Anserini only logs what goes wrong while it writes. Raises StageError unless all documents are there."""
    with java_errors("checking the index it wrote; is the disk full?"):
        searcher = java_class("io.anserini.search.SimpleSearcher")(str(folder))
        indexed = searcher.get_total_num_docs()
        searcher.close()
    if indexed != count:
        raise StageError(f"Lucene indexed only {indexed} of {count} documents in {folder}; is the disk full?")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
