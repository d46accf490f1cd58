"""The held-out questions a training is steered by, and what is searched for them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sptar_engine.artifacts import read_json, sha256_json, write_json
from sptar_engine.data.beir import read_corpus, read_queries
from sptar_engine.data.seeds import read_held_out
from sptar_engine.errors import ArtifactError, InputError
from sptar_engine.records import Qrels

MEASURE = "nDCG@10"
DEPTH = 10
"""Hits per question that the measure looks at."""

# Not the training's seed: every arm and every repeat searches the same documents, so that their scores compare.
_POOL_SEED = 0


@dataclass(frozen=True, slots=True)
class DevelopmentSet:
    """Held-out queries (text by id), their judgements, and the texts of the documents to search, by id."""

    queries: Mapping[str, str]
    qrels: Qrels
    documents: Mapping[str, str]

    @property
    def texts(self) -> dict[str, list[str]]:
        """The different texts of the documents, each with the ids of those that have it."""
        texts: dict[str, list[str]] = {}
        for doc_id, text in self.documents.items():
            texts.setdefault(text, []).append(doc_id)
        return texts


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
    documents = {
        document.doc_id: document.content
        for document in corpus.documents()
        if chosen is None or document.doc_id in chosen
    }
    return DevelopmentSet(queries, qrels, documents)


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
