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
