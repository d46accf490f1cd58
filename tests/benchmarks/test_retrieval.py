"""The retrieval benchmark: what is encoded, copies with noise, sides that find the same, and the line at the end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import retrieval
from benchmarks.retrieval import Side, Texts, copy, read_texts, search_plainly, summarise
from sptar_engine.records import Qrels
from sptar_engine.retrieval.dense import Vectors, search

TEXTS = Texts("by hand", {"d1": "a heron", "d2": "a kettle"}, {"x": "tea", "y": "bird"}, Qrels({"y": {"d1": 1}}))
DOCUMENTS, QUERIES = np.eye(2, 4, dtype=np.float32), np.eye(2, 4, dtype=np.float32)[::-1].copy()


def _side(encode: list[float], search_seconds: list[float], searcher=search) -> Side:
    def refuse(texts: object) -> Vectors:
        raise AssertionError(texts)

    rankings = searcher(["x", "y"], QUERIES, ["d1", "d2"], DOCUMENTS, 1)
    return Side(refuse, searcher, DOCUMENTS, QUERIES, rankings, encode, search_seconds)


def test_first_copies_are_the_vectors_themselves_and_judged_queries_come_first() -> None:
    copies = copy(TEXTS, DOCUMENTS, QUERIES, 5, 3)
    assert copies.doc_ids == ["d1", "d2", "d1#1", "d2#1", "d1#2"]
    assert copies.query_ids == ["y", "x", "y#1"]
    np.testing.assert_array_equal(copies.documents[:2], DOCUMENTS)
    np.testing.assert_array_equal(copies.queries[:2], QUERIES[::-1])
    assert copies.qrels.grades == {"y": {"d1": 1}, "y#1": {"d1": 1}}


def test_noisy_copies_have_length_one_and_stay_near() -> None:
    copies = copy(TEXTS, DOCUMENTS, QUERIES, 200, 2)
    np.testing.assert_allclose(np.linalg.norm(copies.documents, axis=1), 1.0, atol=1e-6)
    cosines = copies.documents[2::2] @ DOCUMENTS[0]
    assert 0.5 < cosines.min() < cosines.max() < 1.0


def test_plain_search_and_ours_find_the_same() -> None:
    rng = np.random.default_rng(1)
    documents, queries = (rng.standard_normal((count, 8), dtype=np.float32) for count in (300, 7))
    documents, queries = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (documents, queries))
    doc_ids, query_ids = [f"d{number}" for number in range(300)], [f"q{number}" for number in range(7)]
    ours, plain = (side(query_ids, queries, doc_ids, documents, 10) for side in (search, search_plainly))
    assert [[hit.doc_id for hit in hits] for hits in ours.values()] == [
        [hit.doc_id for hit in hits] for hits in plain.values()
    ]


def test_judged_documents_are_encoded_first(toy_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval, "_COLLECTION", toy_dataset.name)
    texts = read_texts(str(toy_dataset.parent), 5, tmp_path)
    judged = {doc_id for row in texts.qrels.grades.values() for doc_id in row}
    assert texts.collection == toy_dataset.name
    assert len(texts.documents) == 5 and judged and judged <= set(texts.documents)
    assert texts == read_texts(str(toy_dataset.parent), 5, tmp_path)


def test_seconds_are_medians_of_whole_turns_and_figures_are_compared() -> None:
    sides = {"ours": _side([1, 9, 3], [1, 1, 1]), "sentence_transformers": _side([8, 7, 9], [2, 2, 2], search_plainly)}
    found = summarise(TEXTS, sides)
    assert (found["ours"], found["peers"], found["ratio"]) == (
        4, {"sentence_transformers": 10}, {"sentence_transformers": 2.5},
    )  # fmt: skip
    checks = found["checks"]
    assert checks["ndcg_ours"] == checks["ndcg_sentence_transformers"] == 1.0
    assert checks["ndcg_within_half_a_percent"] is True and checks["same_hits"] == 1.0
    assert (checks["encoding_ours"], checks["searching_sentence_transformers"]) == (3, 2)
