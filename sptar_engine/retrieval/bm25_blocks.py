"""A corpus as BM25 sees it: how often each document has the words that are asked for, in blocks of documents.

Words that no query has are only counted, for the documents' lengths. A block at a time is held in memory and the rest
lies on disk, so that a corpus may be of any size.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice, repeat
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from sptar_engine.data.beir import iter_documents
from sptar_engine.records import Document
from sptar_engine.retrieval.lucene_words import analyze
from sptar_engine.retrieval.progress import Progress

_DOCUMENTS = 1 << 16  # of a block, at most
_POSTINGS = 1 << 22  # from which a block is full: 32 MiB, and about three times as much while it is searched
_CHARACTERS = 1 << 19  # from which documents are handed to Lucene: 1 MiB of it, and some ten for its words
_UNASKED = -1  # instead of a term: a word that no query has

Ints = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for in a corpus."""

    terms: Mapping[str, int]
    """The words of the queries, numbered from 0."""
    doc_ids: Sequence[str]
    """The documents whose ranks are asked for, sorted, each once."""


@dataclass(frozen=True, slots=True)
class Block:
    """Documents that follow each other in the corpus."""

    counts: csr_array
    """(documents, terms): how often a document has a term."""
    lengths: Ints
    """(documents,): all words of a document."""
    places: Ints
    """(documents,): how many ids of the block come before that of a document."""
    own_rows: Ints
    """(wanted documents,): the row of each, -1 for one of another block."""
    own_places: Ints
    """(wanted documents,): how many ids of the block come before that of each."""

    @classmethod
    def of(cls, arrays: dict[str, NDArray[Any]], terms: int) -> Self:
        """The block that gave these `arrays`, which are not used again."""
        counts = tuple(arrays.pop(name) for name in ("data", "indices", "indptr"))
        return cls(csr_array(counts, shape=(len(arrays["lengths"]), terms)), **arrays)

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """All that it takes to make it again but the number of terms."""
        counts = {name: getattr(self.counts, name) for name in ("data", "indices", "indptr")}
        return {**counts, **{name: getattr(self, name) for name in ("lengths", "places", "own_rows", "own_places")}}


@dataclass(slots=True)
class Statistics:
    """What BM25 knows of the whole corpus. A document without any word does not count, as in Lucene."""

    document_frequency: NDArray[np.int64]
    """(terms,): how many documents have a term."""
    documents: int = 0
    words: int = 0

    def add(self, block: Block) -> None:
        """Count a block in."""
        self.document_frequency += np.bincount(block.counts.indices, minlength=len(self.document_frequency))
        self.documents += int(np.count_nonzero(block.lengths))
        self.words += int(block.lengths.sum(dtype=np.int64))


class Blocks:
    """All blocks of a corpus, in files of `folder`, which belongs to this corpus and what is wanted of it alone.

    `statistics` is complete from the start. What a stopped process has read is not analysed again.
    """

    def __init__(self, corpus: Path, wanted: Wanted, folder: Path, tick: Callable[[int], None]) -> None:
        """Read a corpus.jsonl. `tick` is called with the number of documents done, and may raise to stop.

        Raises InputError for a bad corpus, StageError when Lucene fails.
        """
        self._wanted, self._folder, self._count = wanted, folder, 0
        self.statistics = Statistics(np.zeros(len(wanted.terms), np.int64))
        documents, done = iter_documents(corpus), 0
        while block := self._take(documents, _shifted(tick, done)):
            self.statistics.add(block)
            self._count += 1
            done += len(block.lengths)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Block]:
        return (block for number in range(self._count) if (block := self._load(number)))

    def _take(self, documents: Iterator[Document], tick: Callable[[int], None]) -> Block | None:
        """The next block, for which as many documents are taken. None when no document is left."""
        if stored := self._load(self._count):
            taken = sum(1 for _ in islice(documents, len(stored.lengths)))
            tick(taken)
            return stored
        made = make_block(documents, self._wanted, tick)
        if made:
            self._file(self._count).save(**made.arrays)
        return made

    def _load(self, number: int) -> Block | None:
        arrays = self._file(number).load()
        return Block.of(arrays, len(self._wanted.terms)) if arrays else None

    def _file(self, number: int) -> Progress:
        return Progress(self._folder, f"bm25-{number}")


def make_block(documents: Iterator[Document], wanted: Wanted, tick: Callable[[int], None]) -> Block | None:
    """As many of the documents as make a block; None when there are none left. `tick` is told how many, per batch."""
    counts: list[csr_array] = []
    lengths: list[int] = []
    doc_ids: list[str] = []
    postings = 0
    while len(doc_ids) < _DOCUMENTS and postings < _POSTINGS:
        batch = list(_batch(islice(documents, _DOCUMENTS - len(doc_ids))))
        if not batch:
            break
        words = analyze([document.content for document in batch])
        counts.append(_count(words, wanted.terms))
        lengths += map(len, words)
        doc_ids += (document.doc_id for document in batch)
        postings += counts[-1].nnz
        tick(len(doc_ids))
    if not doc_ids:
        return None
    return Block(vstack(counts, format="csr"), np.array(lengths, np.int32), *_order(doc_ids, wanted.doc_ids))


def _batch(documents: Iterator[Document]) -> Iterator[Document]:
    characters = 0
    for document in documents:
        yield document
        characters += len(document.content)
        if characters >= _CHARACTERS:
            return


def _count(words: Sequence[Sequence[str]], terms: Mapping[str, int]) -> csr_array:
    """(documents, terms): how often each document has each term."""
    lengths = [len(one) for one in words]
    found = map(terms.get, chain.from_iterable(words), repeat(_UNASKED))
    columns = np.fromiter(found, np.int32, sum(lengths))
    rows = np.repeat(np.arange(len(words), dtype=np.int32), lengths)
    asked = columns != _UNASKED
    ones = np.ones(np.count_nonzero(asked), np.int32)
    return csr_array((ones, (rows[asked], columns[asked])), shape=(len(words), len(terms)))  # adds up what is double


def _order(doc_ids: Sequence[str], own_ids: Sequence[str]) -> tuple[Ints, Ints, Ints]:
    """`places`, `own_rows` and `own_places` of a block of these documents."""
    rows = sorted(range(len(doc_ids)), key=doc_ids.__getitem__)
    places = np.empty(len(doc_ids), np.int32)
    places[rows] = np.arange(len(doc_ids))
    row_of = {doc_id: row for row, doc_id in enumerate(doc_ids)}
    ordered = [doc_ids[row] for row in rows]
    own_rows = [row_of.get(doc_id, -1) for doc_id in own_ids]
    own_places = [bisect_left(ordered, doc_id) for doc_id in own_ids]
    return places, np.array(own_rows, np.int32), np.array(own_places, np.int32)


def _shifted(tick: Callable[[int], None], before: int) -> Callable[[int], None]:
    return lambda done: tick(before + done)
