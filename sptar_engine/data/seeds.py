"""The labelled pairs and the unlabelled pool, as the stage prepare left them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import islice
from pathlib import Path

from sptar_engine.artifacts import read_jsonl
from sptar_engine.data.beir import read_qrels
from sptar_engine.data.corpus import find_documents
from sptar_engine.errors import ArtifactError
from sptar_engine.records import Document, Qrels, Query, SeedPair

POOL_FILE = "pool.jsonl"


def seeds_path(prepare: Path, split: str) -> Path:
    """Where prepare keeps the relevant pairs of a split; only `train` and `dev` have any."""
    return prepare / "seeds" / f"{split}.jsonl"


def read_seeds(prepare: Path, split: str) -> dict[str, tuple[SeedPair, ...]]:
    """The relevant pairs of a split by query id: queries in file order, each one's documents best grade first."""
    rows = list(read_jsonl(seeds_path(prepare, split)))
    documents = _documents(prepare, {row["doc_id"] for row in rows})
    seeds: dict[str, tuple[SeedPair, ...]] = {}
    for row in rows:
        pair = SeedPair(Query(row["query_id"], row["query"], row.get("style", "")), documents[row["doc_id"]])
        seeds[row["query_id"]] = (*seeds.get(row["query_id"], ()), pair)
    return seeds


def read_held_out(prepare: Path) -> Qrels:
    """The judgements of the dev queries, without the queries whose answers are all below `prepare.min_grade`.

    The test queries are measured without such ones (`evaluate.min_grade`), and nothing is to be chosen by what is not
    measured. The seeds tell them: there every pair from that grade on has a row.
    """
    qrels = read_qrels(prepare, "dev")
    best = {query_id: max(grades.values()) for query_id, grades in qrels.grades.items()}
    highest = max(best.values(), default=0)  # prepare refuses a min_grade above it
    doubtful = {query_id for query_id, grade in best.items() if 0 < grade < highest}
    if not doubtful:
        return qrels
    below = doubtful - {row["query_id"] for row in read_jsonl(seeds_path(prepare, "dev"))}
    return Qrels({query_id: grades for query_id, grades in qrels.grades.items() if query_id not in below})


def read_pool(prepare: Path, limit: int) -> list[Document]:
    """The first `limit` documents of the unlabelled pool, in its random order; fewer when the pool is smaller."""
    return read_documents(prepare, read_pool_ids(prepare, limit))


def read_pool_ids(prepare: Path, limit: int) -> list[str]:
    """The ids of the documents of `read_pool`."""
    return [row["doc_id"] for row in islice(read_jsonl(prepare / POOL_FILE), limit)]


def read_documents(prepare: Path, doc_ids: Sequence[str]) -> list[Document]:
    """The documents of these ids in their order. Raises ArtifactError for an id that the corpus lacks."""
    documents = _documents(prepare, set(doc_ids))
    return [documents[doc_id] for doc_id in doc_ids]


def _documents(prepare: Path, doc_ids: Collection[str]) -> dict[str, Document]:
    documents = find_documents(prepare, doc_ids)
    if len(documents) < len(doc_ids):
        missing = min(set(doc_ids) - documents.keys())
        raise ArtifactError(f"{prepare / 'corpus.jsonl'} lacks the document {missing!r}")
    return documents
