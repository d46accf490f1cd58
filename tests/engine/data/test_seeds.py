from __future__ import annotations

from pathlib import Path

import pytest

from sptar_engine.artifacts import write_jsonl
from sptar_engine.data.beir import write_corpus
from sptar_engine.data.seeds import POOL_FILE, read_pool, read_seeds, seeds_path
from sptar_engine.errors import ArtifactError
from sptar_engine.records import Document, Query, SeedPair

DOCUMENTS = {doc_id: Document(doc_id, f"text {doc_id}") for doc_id in ("d1", "d2", "d3")}


@pytest.fixture
def prepare(tmp_path: Path) -> Path:
    write_corpus(tmp_path, DOCUMENTS.values())
    rows = [("q2", "two", "d3", 2), ("q2", "two", "d1", 1), ("q1", "one", "d1", 1)]
    keys = ("query_id", "query", "doc_id", "grade")
    write_jsonl(seeds_path(tmp_path, "train"), (dict(zip(keys, row, strict=True)) for row in rows))
    write_jsonl(tmp_path / POOL_FILE, ({"doc_id": doc_id} for doc_id in ("d3", "d1", "d2")))
    return tmp_path


def test_seeds_come_by_query_in_file_order(prepare: Path) -> None:
    two, one = Query("q2", "two"), Query("q1", "one")
    seeds = read_seeds(prepare, "train")
    assert list(seeds) == ["q2", "q1"]
    assert seeds["q2"] == (SeedPair(two, DOCUMENTS["d3"]), SeedPair(two, DOCUMENTS["d1"]))
    assert seeds["q1"] == (SeedPair(one, DOCUMENTS["d1"]),)


@pytest.mark.parametrize(("limit", "doc_ids"), [(0, []), (2, ["d3", "d1"]), (9, ["d3", "d1", "d2"])])
def test_the_pool_is_read_in_its_order_up_to_the_limit(prepare: Path, limit: int, doc_ids: list[str]) -> None:
    assert read_pool(prepare, limit) == [DOCUMENTS[doc_id] for doc_id in doc_ids]


def test_missing_parts_are_named(prepare: Path) -> None:
    with pytest.raises(ArtifactError, match=r"seeds/dev\.jsonl is missing"):
        read_seeds(prepare, "dev")
    write_jsonl(prepare / POOL_FILE, [{"doc_id": "d9"}])
    with pytest.raises(ArtifactError, match=r"corpus\.jsonl lacks the document 'd9'"):
        read_pool(prepare, 5)
