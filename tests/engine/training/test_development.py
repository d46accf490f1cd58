import tracemalloc

import pytest

from sptar_engine.artifacts import write_jsonl
from sptar_engine.data.beir import write_dataset
from sptar_engine.data.seeds import seeds_path
from sptar_engine.errors import InputError
from sptar_engine.records import Document, Qrels, Query
from sptar_engine.training.development import (
    DevelopmentSet,
    ScoreCache,
    choose_pool,
    read_development_set,
)

DOCUMENTS = [Document(f"d{number}", f"text {number}", "title") for number in range(20)]
QRELS = Qrels({"q1": {"d3": 1, "d4": 0}})


@pytest.fixture
def prepare(tmp_path):
    write_dataset(tmp_path, DOCUMENTS, [Query("q1", "one"), Query("q2", "two")], {"dev": QRELS, "train": Qrels({})})
    return tmp_path


def test_all_held_out_queries_search_the_whole_corpus(prepare) -> None:
    contents = {document.doc_id: document.content for document in DOCUMENTS}
    assert read_development_set(prepare, 0) == DevelopmentSet({"q1": "one"}, QRELS, contents)


def test_pool_holds_the_judged_and_some_others_in_corpus_order(prepare) -> None:
    pool = read_development_set(prepare, 6).documents
    assert len(pool) == 6 and {"d3", "d4"} <= pool.keys()
    assert list(pool) == sorted(pool, key=lambda doc_id: int(doc_id[1:]))
    assert read_development_set(prepare, 6).documents == pool


@pytest.mark.parametrize(("size", "count"), [(1, 2), (2, 2), (5, 5), (99, 8)])
def test_judged_documents_are_in_the_pool_whatever_its_size(size, count) -> None:
    pool = choose_pool([f"d{number}" for number in range(8)], {"d1", "d2", "not in the corpus"}, size)
    assert len(pool) == count and {"d1", "d2"} <= pool


def test_query_whose_answers_are_below_the_least_grade_steers_no_training(prepare) -> None:
    graded = Qrels({"q1": {"d3": 2}, "q2": {"d7": 1}})
    write_dataset(prepare, DOCUMENTS, [Query("q1", "one"), Query("q2", "two")], {"dev": graded})
    write_jsonl(seeds_path(prepare, "dev"), [{"query_id": "q1", "query": "one", "doc_id": "d3", "grade": 2}])
    development = read_development_set(prepare, 0)
    assert development.queries == {"q1": "one"} and development.qrels == Qrels({"q1": {"d3": 2}})


def test_no_held_out_queries_is_an_error(prepare) -> None:
    write_dataset(prepare, DOCUMENTS, [Query("q1", "one")], {"dev": Qrels({})})
    with pytest.raises(InputError, match="no held-out queries"):
        read_development_set(prepare, 0)


def test_documents_of_equal_text_are_one_text() -> None:
    development = DevelopmentSet({}, Qrels({}), {"a": "same", "b": "other", "c": "same"})
    assert development.texts == {"same": ["a", "c"], "other": ["b"]}


def test_score_is_kept_under_its_key_to_the_last_bit(tmp_path) -> None:
    cache = ScoreCache(tmp_path, {"base": "a"})
    assert cache.get() is None
    cache.put(0.1 + 0.2)
    assert ScoreCache(tmp_path, {"base": "a"}).get() == 0.1 + 0.2
    assert ScoreCache(tmp_path, {"base": "b"}).get() is None


def test_damaged_score_counts_as_none(tmp_path) -> None:
    cache = ScoreCache(tmp_path, "key")
    cache.put(0.5)
    next((tmp_path / "dev_scores").iterdir()).write_text("[1")
    assert cache.get() is None


@pytest.mark.parametrize("pool", [0, 30])
def test_texts_are_read_when_they_are_asked_for(tmp_path, pool) -> None:
    long = [Document(f"d{number}", f"{number} " + "x" * 100_000) for number in range(40)]
    write_dataset(tmp_path, long, [Query("q1", "one")], {"dev": QRELS})
    tracemalloc.start()
    try:
        development = read_development_set(tmp_path, pool)
        assert len(development.documents) == (pool or 40) == len(list(development.documents))
        assert tracemalloc.get_traced_memory()[0] < 500_000  # all texts are 4 MB
    finally:
        tracemalloc.stop()
    assert development.documents["d3"] == long[3].content and "d99" not in development.documents
    contents = {one.doc_id: one.content for one in long if one.doc_id in development.documents}
    assert list(development.documents.items()) == list(contents.items())
    assert list(development.documents.values()) == development.listed == list(contents.values())


def test_document_outside_the_pool_has_no_text(prepare) -> None:
    pool = read_development_set(prepare, 6).documents
    outside = next(one.doc_id for one in DOCUMENTS if one.doc_id not in pool)
    with pytest.raises(KeyError):
        pool[outside]


def test_texts_are_listed_document_by_document() -> None:
    development = DevelopmentSet({}, Qrels({}), {"a": "same", "b": "other", "c": "same"})
    assert development.listed == ["same", "other", "same"]
    assert development.texts is development.texts
