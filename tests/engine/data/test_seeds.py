from __future__ import annotations

from pathlib import Path

import pytest

from sptar_engine.artifacts import write_jsonl
from sptar_engine.data.beir import read_qrels, write_corpus, write_dataset
from sptar_engine.data.seeds import POOL_FILE, read_held_out, read_pool, read_seeds, seeds_path
from sptar_engine.errors import ArtifactError
from sptar_engine.evaluation.metrics import measure
from sptar_engine.records import Document, Hit, Qrels, Query, SeedPair
from sptar_engine.stages.prepare import seed_rows

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


HELD_OUT = Qrels({"q1": {"d1": 2, "d2": 1}, "q2": {"d3": 1}, "q3": {"d1": 0}, "q4": {"d3": 3}})


def write_held_out(folder: Path, qrels: Qrels, min_grade: int) -> Path:
    """What prepare leaves of held-out queries."""
    queries = {query_id: Query(query_id, query_id) for query_id in qrels.grades}
    write_dataset(folder, DOCUMENTS.values(), queries.values(), {"dev": qrels})
    write_jsonl(seeds_path(folder, "dev"), seed_rows(queries, qrels, min_grade))
    return folder


@pytest.mark.parametrize(("min_grade", "query_ids"), [(1, "q1 q2 q3 q4"), (2, "q1 q3 q4"), (3, "q3 q4")])
def test_held_out_queries_with_answers_below_the_grade_are_left_out(tmp_path: Path, min_grade, query_ids) -> None:
    held_out = read_held_out(write_held_out(tmp_path, HELD_OUT, min_grade))
    assert list(held_out.grades) == query_ids.split()
    assert all(held_out.grades[query_id] == HELD_OUT.grades[query_id] for query_id in held_out.grades)
    rankings = {query_id: [Hit("d1", 2.0), Hit("d3", 1.0)] for query_id in HELD_OUT.grades}
    mean = measure(read_qrels(tmp_path, "dev"), rankings, min_grade).mean["nDCG@10"]
    assert measure(held_out, rankings).mean["nDCG@10"] == mean


def test_held_out_queries_of_one_grade_are_all_there_and_no_seeds_are_asked(tmp_path: Path) -> None:
    qrels = Qrels({"q1": {"d1": 1}, "q2": {"d3": 1, "d2": 0}, "q3": {"d2": 0}})
    write_dataset(tmp_path, DOCUMENTS.values(), [], {"dev": qrels})
    assert read_held_out(tmp_path) == qrels
