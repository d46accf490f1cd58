"""Encoding in batches, and exact search against the plainest way to do it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sentence_transformers import SentenceTransformer

from sptar_engine.errors import Cancelled
from sptar_engine.records import Hit, rank_hits
from sptar_engine.retrieval import dense
from sptar_engine.retrieval.dense import encode, search

_LONG = "the sparrow of the harbour is bright yellow and rare in winter " * 20


@pytest.fixture(scope="module")
def model(tiny_encoder) -> SentenceTransformer:
    return SentenceTransformer(str(tiny_encoder), device="cpu")


def vectors(*rows) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


def brute_force(query: np.ndarray, doc_ids: list[str], documents: np.ndarray, depth: int) -> list[Hit]:
    scores = [float(np.float32(np.dot(query.astype(np.float64), row.astype(np.float64)))) for row in documents]
    return rank_hits([Hit(doc_id, score) for doc_id, score in zip(doc_ids, scores, strict=True)], depth)


def test_hits_by_hand() -> None:
    documents = vectors([1, 0], [0, 1], [0.5, 0.5], [-1, 0])
    found = search(["x", "y"], vectors([1, 0], [0, 2]), ["a", "b", "c", "d"], documents, 3)
    assert found == {
        "x": [Hit("a", 1.0), Hit("c", 0.5), Hit("b", 0.0)],
        "y": [Hit("b", 2.0), Hit("c", 1.0), Hit("a", 0.0)],
    }


def test_equal_scores_are_in_the_order_of_ids_at_the_cut_too() -> None:
    names = [f"d{number}" for number in range(50)]
    found = search(["q"], vectors([1, 1]), names[::-1], vectors(*[[0.1, 0.7]] * 50), 7)["q"]
    assert [hit.doc_id for hit in found] == sorted(names)[:7]


def test_minus_zero_equals_zero() -> None:
    documents = vectors([0.0, 1.0], [-0.0, 1.0], [0.0, -1.0])
    found = search(["q"], vectors([-1.0, 0.0]), ["c", "b", "a"], documents, 3)["q"]
    assert [hit.doc_id for hit in found] == ["a", "b", "c"]


def test_copies_of_a_vector_get_the_same_score_wherever_they_stand() -> None:
    rng = np.random.default_rng(0)
    documents = rng.standard_normal((300, 37), dtype=np.float32)
    documents[::7] = documents[0]
    found = search(["q"], rng.standard_normal((1, 37), dtype=np.float32), [str(n) for n in range(300)], documents, 300)
    assert len({hit.score for hit in found["q"] if int(hit.doc_id) % 7 == 0}) == 1


@pytest.mark.parametrize("depth", [1, 10, 100, 5000])
def test_random_vectors_agree_with_brute_force_over_several_blocks(monkeypatch, depth) -> None:
    monkeypatch.setattr(dense, "_DOCUMENTS", 333)
    monkeypatch.setattr(dense, "_QUERIES", 4)
    monkeypatch.setattr(dense, "_PAIRS", 1000)
    rng = np.random.default_rng(1)
    documents = rng.standard_normal((2000, 24), dtype=np.float32)
    documents[1500:] = documents[:500]  # duplicates in other blocks
    queries = rng.standard_normal((10, 24), dtype=np.float32)
    doc_ids = [f"d{number}" for number in rng.permutation(2000)]
    query_ids = [f"q{number}" for number in range(10)]
    found = search(query_ids, queries, doc_ids, documents, depth)
    assert list(found) == query_ids
    for query_id, query in zip(query_ids, queries, strict=True):
        assert found[query_id] == brute_force(query, doc_ids, documents, depth)


@settings(deadline=None, max_examples=60)
@given(
    hnp.arrays(np.float32, st.tuples(st.integers(1, 12), st.just(3)), elements=st.sampled_from([-1, -0.5, 0, 0.1, 1])),
    st.integers(1, 14),
)
def test_few_distinct_values_agree_with_brute_force(documents, depth) -> None:
    doc_ids = [f"d{number}" for number in range(len(documents))][::-1]
    query = vectors([0.3, -1.0, 0.5])
    assert search(["q"], query, doc_ids, documents, depth)["q"] == brute_force(query[0], doc_ids, documents, depth)


def test_no_documents_or_no_queries_give_nothing() -> None:
    assert search(["q"], vectors([1, 0]), [], np.zeros((0, 2), np.float32), 5) == {"q": []}
    assert search([], np.zeros((0, 2), np.float32), ["a"], vectors([1, 0]), 5) == {}


def test_vectors_are_those_of_one_text_at_a_time_in_the_given_order(model) -> None:
    texts = ["a falcon", _LONG, "", "the harbour", "bright yellow tool of copper"] * 9
    found = encode(model, texts, 256)
    assert found.shape == (45, 32)
    assert found.dtype == np.float32
    alone = np.stack([model.encode(text, normalize_embeddings=True) for text in texts])
    np.testing.assert_allclose(found, alone, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-5)


def test_equal_texts_get_equal_vectors_to_the_last_bit(model) -> None:
    texts = [*(f"falcon {'and owl ' * number}" for number in range(60)), "the harbour", "the harbour"]
    found = encode(model, texts, 256)
    assert (found[-1] == found[-2]).all()


def test_texts_are_cut_and_the_model_is_left_as_it_was(model) -> None:
    model.train()
    cut = encode(model, [_LONG, "the sparrow of"], 5)  # three words between the two special tokens
    np.testing.assert_allclose(cut[0], cut[1], atol=1e-6)
    assert model.max_seq_length == 256
    assert model.training


def test_more_tokens_than_the_model_takes_are_not_asked_for(model) -> None:
    np.testing.assert_array_equal(encode(model, [_LONG], 8192), encode(model, [_LONG], 256))


def test_order_in_which_texts_come_changes_no_bit(model) -> None:
    texts = [f"falcon {'and owl ' * (number % 7)} {number}" for number in range(90)]
    np.testing.assert_array_equal(encode(model, texts[::-1], 64)[::-1], encode(model, texts, 64))


def test_texts_pass_in_groups_of_like_length_within_the_budget_of_tokens(model, monkeypatch) -> None:
    passed: list[list[str]] = []
    monkeypatch.setattr(dense, "_CHUNK_TOKENS", {"cpu": 16})
    monkeypatch.setattr(
        dense,
        "_encode_batch",
        lambda _, batch, *rest: (passed.append(batch), np.zeros((len(batch), 32), np.float32))[1],
    )
    encode(model, ["owl", "the sparrow of", "falcon", "the harbour of winter", "a"], 64)  # 3, 5, 3, 6, 3 tokens
    assert passed == [["the harbour of winter", "the sparrow of"], ["a", "falcon", "owl"]]


def test_tick_tells_each_batch_and_may_stop(model, monkeypatch) -> None:
    monkeypatch.setattr(dense, "_CHUNK_TOKENS", {"cpu": 96})
    told: list[tuple[int, int]] = []
    encode(model, ["falcon"] * 8 + ["owl " * number for number in range(1, 63)], 64, lambda *done: told.append(done))
    assert told == sorted(told) and told[-1] == (70, 70) and len(told) > 10

    def stop(done: int, total: int) -> None:
        raise Cancelled("stop")

    with pytest.raises(Cancelled):
        encode(model, ["a", "b"], 8, stop)
    assert model.max_seq_length == 256


def test_no_texts_give_no_vectors(model) -> None:
    assert encode(model, [], 256).shape == (0, 32)
