"""The different texts of a corpus: each is encoded once, so equal texts have equal scores, and ties fall to the id."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sptar_engine.data.corpus import CORPUS_FILE, iter_documents
from sptar_engine.data.fingerprints import FingerprintTable, fingerprint
from sptar_engine.retrieval.best_hits import Numbers


@dataclass(frozen=True, slots=True)
class DistinctTexts:
    """Ids of all documents in corpus order, and of each the number of its text, counted by first appearance."""

    dataset: Path
    doc_ids: list[str]
    numbers: Numbers
    count: int

    def blocks(self, size: int, start: int = 0) -> Iterator[tuple[int, list[str]]]:
        """The texts in blocks of `size`, with the number of the first of each; those before `start` are passed over.

        Only a block is held. `start` is the number that a block begins with.
        """
        wanted, texts = start, list[str]()
        for row, document in enumerate(iter_documents(self.dataset / CORPUS_FILE)):
            if self.numbers[row] != wanted:
                continue
            texts.append(document.content)
            wanted += 1
            if len(texts) == size or wanted == self.count:
                yield wanted - len(texts), texts
                texts = []

    def rows(self, first: int, count: int) -> Numbers:
        """Rows of the documents that have one of `count` texts from number `first` on."""
        return np.flatnonzero((self.numbers >= first) & (self.numbers < first + count))


def distinct_texts(dataset: Path) -> DistinctTexts:
    """Read the corpus.jsonl of a folder once. Raises InputError as `iter_documents` does."""
    known = FingerprintTable()
    doc_ids: list[str] = []
    numbers: list[int] = []
    for document in iter_documents(dataset / CORPUS_FILE):
        doc_ids.append(document.doc_id)
        numbers.append(known.setdefault(fingerprint(document.content), len(known)))
    return DistinctTexts(dataset, doc_ids, np.array(numbers, dtype=np.int64), len(known))
