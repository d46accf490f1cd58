"""Exact search over sparse vectors, against sentence-transformers' own scores."""

from __future__ import annotations

import weakref
from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sentence_transformers import SparseEncoder

from sptar_engine.errors import Cancelled, InputError
from sptar_engine.records import Hit, rank_hits
from sptar_engine.retrieval import sparse
from sptar_engine.retrieval.distinct import DistinctTexts
from sptar_engine.retrieval.ranking import open_ranker
from tests.engine.retrieval.conftest import QUERIES, TEXTS


def rank(space, folder, depth: int = 10, tick=lambda *_: None):
    return open_ranker("sparse", space, model=folder).rank(QUERIES, depth, tick)


def texts_of(*numbers: int) -> DistinctTexts:
    return DistinctTexts(None, [f"d{place}" for place in range(len(numbers))], np.array(numbers), max(numbers) + 1)


def test_scores_are_those_of_sentence_transformers(space, family_folder) -> None:
    folder = family_folder("sparse")
    model = SparseEncoder(str(folder), device="cpu")
    scores = model.similarity(model.encode_query(list(QUERIES.values())), model.encode_document(list(TEXTS.values())))
    found = rank(space, folder)
    for query_id, row in zip(QUERIES, scores.to_dense().tolist(), strict=True):
        expected = {doc_id: score for doc_id, score in zip(TEXTS, row, strict=True) if score}
        assert {hit.doc_id: hit.score for hit in found[query_id]} == pytest.approx(expected, rel=1e-4)
        assert found[query_id] == rank_hits(found[query_id])


def test_search_of_a_worked_example() -> None:
    queries = csr_matrix([[1.0, 2.0, 0.0], [0.0, 0.0, 1.0]])
    documents = csr_matrix([[3.0, 0.0, 0.0], [1.0, 1.0, 0.0]])
    found = sparse.search_sparse(["q", "r"], queries, texts_of(0, 1, 0), [documents], 10)
    assert found == {"q": [Hit("d0", 3.0), Hit("d1", 3.0), Hit("d2", 3.0)], "r": []}
    assert sparse.search_sparse(["q"], queries[:1], texts_of(0, 1, 0), [documents], 2)["q"] == [
        Hit("d0", 3.0), Hit("d1", 3.0),
    ]  # fmt: skip


def test_documents_searched_in_blocks_are_found_as_at_once(monkeypatch) -> None:
    rng = np.random.default_rng(3)
    queries, documents = (csr_matrix(rng.random((count, 5)) * (rng.random((count, 5)) < 0.4)) for count in (4, 30))
    texts = texts_of(*range(30))
    at_once = sparse.search_sparse(list("abcd"), queries, texts, [documents], 6)
    monkeypatch.setattr(sparse, "_COLUMNS", 7)
    assert sparse.search_sparse(list("abcd"), queries, texts, [documents], 6) == at_once


def test_no_more_rows_are_held_than_those_of_a_group(monkeypatch) -> None:
    rng = np.random.default_rng(4)
    queries, documents = (csr_matrix(rng.integers(0, 3, (count, 4)).astype(float)) for count in (5, 23))
    texts = texts_of(*range(23), *rng.integers(0, 23, 20).tolist())  # copies of some, after them
    products = (queries @ documents.T).toarray()[:, texts.numbers]
    expected = {
        name: rank_hits((Hit(*one) for one in zip(texts.doc_ids, row.tolist(), strict=True) if one[1]), 6)
        for name, row in zip("abcde", products, strict=True)
    }
    held, most = [], []

    def blocks():
        for start in range(0, 23, 3):
            block = csr_matrix(documents[start : start + 3])
            held.append(weakref.ref(block))
            most.append(sum(one() is not None for one in held))
            yield block

    monkeypatch.setattr(sparse, "_COLUMNS", 7)
    monkeypatch.setattr(sparse, "_QUERIES", 2)
    assert sparse.search_sparse(list("abcde"), queries, texts, blocks(), 6) == expected
    assert max(most) <= 4  # of eight: three make a group, and the last of the one before still has its name


def test_model_that_compares_by_cosine_is_searched_by_cosine(space, family_folder, tmp_path) -> None:
    model = SparseEncoder(str(family_folder("sparse")), device="cpu", similarity_fn_name="cosine")
    model.save(str(tmp_path / "cosine"), create_model_card=False)
    found = rank(space, tmp_path / "cosine")["q1"]
    one, other = model.encode_query([QUERIES["q1"]]), model.encode_document([TEXTS[found[0].doc_id]])
    assert found[0].score == pytest.approx(model.similarity(one, other).item(), rel=1e-4)
    assert 0 < found[0].score <= 1


def test_other_measures_are_refused(space, family_folder, tmp_path) -> None:
    model = SparseEncoder(str(family_folder("sparse")), device="cpu", similarity_fn_name="euclidean")
    model.save(str(tmp_path / "euclidean"), create_model_card=False)
    with pytest.raises(InputError, match="euclidean"):
        rank(space, tmp_path / "euclidean")


def test_stopped_search_goes_on_where_it_was(space, family_folder, monkeypatch) -> None:
    folder = family_folder("sparse")
    monkeypatch.setattr(sparse, "_BLOCK", 2)
    undisturbed = rank(replace(space, scratch=None), folder)

    def stop(done, total, message):
        raise Cancelled("stop")

    with pytest.raises(Cancelled):
        rank(space, folder, tick=stop)
    read = []
    encode = sparse.encode_sparse
    monkeypatch.setattr(
        sparse,
        "encode_sparse",
        lambda model, texts, query: (read.append(len(texts)), encode(model, texts, query=query))[1],
    )
    assert rank(space, folder) == undisturbed
    assert read == [2, 2]  # the second block of two, and the queries


def test_no_query_gives_no_rankings(space, family_folder) -> None:
    assert open_ranker("sparse", space, model=family_folder("sparse")).rank({}, 10, lambda *_: None) == {}
