"""The held-out questions a training is steered by, and what is searched for them."""

from __future__ import annotations

import random
from collections.abc import ItemsView, Iterator, Mapping, ValuesView
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sptar_engine.artifacts import read_json, sha256_json, write_json
from sptar_engine.data.beir import FileCorpus, read_corpus, read_queries
from sptar_engine.data.seeds import read_held_out
from sptar_engine.errors import ArtifactError, InputError
from sptar_engine.records import Qrels

MEASURE = "nDCG@10"
DEPTH = 10
"""Hits per question that the measure looks at."""

# Not the training's seed: every arm and every repeat searches the same documents, so that their scores compare.
_POOL_SEED = 0


@dataclass(frozen=True)  # without slots, where a cached property has no place
class DevelopmentSet:
    """Held-out queries (text by id), their judgements, and the texts of the documents to search, by id.

    Who needs ids alone, or the texts of some hits, asks `documents`, which may read each text when it is asked for:
    the texts of a million documents take over a gigabyte.
    """

    queries: Mapping[str, str]
    qrels: Qrels
    documents: Mapping[str, str]

    @cached_property
    def texts(self) -> dict[str, list[str]]:
        """The different texts of the documents, each with the ids of those that have it.

        In memory from the first call on: for what encodes them all, again and again.
        """
        texts: dict[str, list[str]] = {}
        for doc_id, text in self.documents.items():
            texts.setdefault(text, []).append(doc_id)
        return texts

    @property
    def listed(self) -> list[str]:
        """The text of each document, in the order of `documents`; no text beyond those of `texts` is held."""
        text_of = {doc_id: text for text, doc_ids in self.texts.items() for doc_id in doc_ids}
        return [text_of[doc_id] for doc_id in self.documents]


class DocumentTexts(Mapping[str, str]):
    """Texts of documents by id, in corpus order, read from the file when they are asked for: the ids are in memory."""

    def __init__(self, corpus: FileCorpus, chosen: set[str] | None = None) -> None:
        """`chosen` are the ids of those that belong to it; None for all."""
        self._corpus = corpus
        # A dict, not a set: it keeps the order.
        self._ids = dict.fromkeys(doc_id for doc_id in corpus if chosen is None or doc_id in chosen)

    def __getitem__(self, doc_id: str) -> str:
        if doc_id not in self._ids:
            raise KeyError(doc_id)
        return self._corpus[doc_id].content

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __contains__(self, doc_id: object) -> bool:
        return doc_id in self._ids

    def items(self) -> ItemsView[str, str]:
        """Ids and texts; iterating reads one stream."""
        return _StreamedItems(self)

    def values(self) -> ValuesView[str]:
        """Texts; iterating reads one stream."""
        return _StreamedValues(self)

    def stream(self) -> Iterator[tuple[str, str]]:
        """Ids and texts in corpus order, read as one stream."""
        return ((one.doc_id, one.content) for one in self._corpus.documents() if one.doc_id in self._ids)


class _StreamedItems(ItemsView[str, str]):
    _mapping: DocumentTexts

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return self._mapping.stream()


class _StreamedValues(ValuesView[str]):
    _mapping: DocumentTexts

    def __iter__(self) -> Iterator[str]:
        return (text for _, text in self._mapping.stream())


def read_development_set(prepare: Path, pool: int) -> DevelopmentSet:
    """Read the dev queries and the corpus, or `pool` documents of it (0 = all): the judged ones and random others.

    Raises InputError when there are no held-out queries.
    """
    qrels = read_held_out(prepare)
    texts = read_queries(prepare)
    queries = {query_id: texts[query_id].text for query_id in qrels.grades}
    if not queries:
        raise InputError(f"{prepare} has no held-out queries; a training is steered by them.")
    corpus = read_corpus(prepare)
    judged = {doc_id for grades in qrels.grades.values() for doc_id in grades}
    chosen = choose_pool(list(corpus), judged, pool) if pool else None
    return DevelopmentSet(queries, qrels, DocumentTexts(corpus, chosen))


def choose_pool(doc_ids: list[str], judged: set[str], size: int) -> set[str]:
    """All judged documents, and of the others as many at random as make `size`."""
    others = [doc_id for doc_id in doc_ids if doc_id not in judged]
    room = min(len(others), max(0, size - len(judged.intersection(doc_ids))))
    return judged.intersection(doc_ids) | set(random.Random(_POOL_SEED).sample(others, room))


@dataclass(frozen=True, slots=True)
class ScoreCache:
    """A dev score kept in the store's cache: all arms of an experiment start from the same untrained model.

    `key` is a JSON value that names everything the score depends on.
    """

    cache: Path
    key: Any

    def get(self) -> float | None:
        """The score that an earlier run put here, or None."""
        try:
            return float(read_json(self._path)["score"])
        except (ArtifactError, KeyError, TypeError, ValueError):
            return None

    def put(self, score: float) -> None:
        """Keep a score."""
        write_json(self._path, {"score": score})

    @property
    def _path(self) -> Path:
        return self.cache / "dev_scores" / f"{sha256_json(self.key)}.json"
