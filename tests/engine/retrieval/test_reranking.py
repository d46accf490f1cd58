"""Keyword hits in the order of a cross-encoder, against sentence-transformers' own `rank`."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
from sentence_transformers import CrossEncoder

from sptar_engine.errors import Cancelled, InputError
from sptar_engine.records import Hit, rank_hits
from sptar_engine.retrieval import reranking
from sptar_engine.retrieval.encoder import load_cross_encoder
from sptar_engine.retrieval.fusion import RECIPROCAL_RANK, WEIGHTED, Fusion, write_fusion
from sptar_engine.retrieval.ranking import open_ranker
from sptar_engine.retrieval.reordering import put_beside, reorder
from sptar_engine.retrieval.reranking import score_pairs
from tests.engine.retrieval.conftest import QUERIES, TEXTS

HITS = [Hit("a", 9.0), Hit("b", 8.0), Hit("c", 7.0), Hit("d", 6.0)]


@pytest.fixture
def folder(family_folder):
    return family_folder("cross_encoder")


def rank(space, folder, depth: int = 10, rerank_depth: int = 10, tick=lambda *_: None):
    return open_ranker("cross_encoder", space, model=folder, rerank_depth=rerank_depth).rank(QUERIES, depth, tick)


def keywords(space):
    return open_ranker("bm25", space).rank(QUERIES, 10, lambda *_: None)


def test_hits_beyond_the_depth_keep_their_order_below() -> None:
    assert reorder(HITS, {"a": -3.0, "b": 0.5}) == [Hit("b", 0.5), Hit("a", -3.0), Hit("c", -4.0), Hit("d", -5.0)]
    assert reorder(HITS, {"a": -3.0, "b": 0.5}, 3) == [Hit("b", 0.5), Hit("a", -3.0), Hit("c", -4.0)]
    assert reorder(HITS, {"a": 1.0, "b": 1.0, "c": 1.0, "d": 2.0}) == [
        Hit("d", 2.0), Hit("a", 1.0), Hit("b", 1.0), Hit("c", 1.0),
    ]  # fmt: skip
    assert reorder([], {}) == []
    assert reorder(HITS, {}) == [Hit("a", -1.0), Hit("b", -2.0), Hit("c", -3.0), Hit("d", -4.0)]


def test_scores_beside_those_of_the_search_are_scaled_over_what_was_read() -> None:
    read = {"a": -3.0, "b": 1.0, "c": 5.0}
    assert put_beside(HITS, read, None) == read
    # BM25 of the three read: 1, 0.5 and 0; the reading: 0, 0.5 and 1.
    assert put_beside(HITS, read, Fusion(WEIGHTED, 0.25, 60, 50)) == {"a": 0.75, "b": 0.5, "c": 0.25}
    assert put_beside(HITS, read, Fusion(WEIGHTED, 1.0, 60, 1)) == {"a": 0.0, "b": 0.5, "c": 1.0}
    by_rank = put_beside(HITS, read, Fusion(RECIPROCAL_RANK, None, 1, 1))
    assert by_rank == pytest.approx({"a": 1 / 2 + 1 / 4, "b": 2 / 3, "c": 1 / 4 + 1 / 2})
    assert put_beside(HITS, {"b": 2.0}, Fusion(WEIGHTED, 0.4, 60, 50)) == {"b": 1.0}
    assert put_beside([], {}, Fusion(WEIGHTED, 0.4, 60, 50)) == {}


def test_model_whose_folder_says_so_ranks_beside_the_search(space, folder, tmp_path) -> None:
    alone, found = rank(space, folder, rerank_depth=3), keywords(space)
    beside = shutil.copytree(folder, tmp_path / "beside")
    write_fusion(beside, Fusion(WEIGHTED, 0.3, 60, 3), {})
    for query_id, hits in rank(space, beside, rerank_depth=3).items():
        first, own = found[query_id][:3], {hit.doc_id: hit.score for hit in alone[query_id][:3]}
        expected = {hit.doc_id: 0.3 * own_share + 0.7 * share for hit, own_share, share in zip(
            first, scaled([own[hit.doc_id] for hit in first]), scaled([hit.score for hit in first]), strict=True
        )}  # fmt: skip
        assert {hit.doc_id: hit.score for hit in hits[:3]} == pytest.approx(expected)
        assert [hit.doc_id for hit in hits[3:]] == [hit.doc_id for hit in found[query_id][3:]]
        assert hits == rank_hits(hits)


def scaled(scores: list[float]) -> list[float]:
    low, high = min(scores), max(scores)
    return [(score - low) / (high - low) if high > low else 1.0 for score in scores]


def test_order_is_that_of_sentence_transformers(space, folder) -> None:
    model, found = CrossEncoder(str(folder), device="cpu"), keywords(space)
    for query_id, hits in rank(space, folder).items():
        doc_ids = [hit.doc_id for hit in found[query_id]]
        theirs = model.rank(QUERIES[query_id], [TEXTS[doc_id] for doc_id in doc_ids])
        expected = rank_hits(Hit(doc_ids[row["corpus_id"]], row["score"]) for row in theirs)
        assert {hit.doc_id: hit.score for hit in hits} == pytest.approx(
            {hit.doc_id: hit.score for hit in expected}, abs=1e-4
        )
        assert hits == rank_hits(hits)
        assert len(hits) == len(doc_ids) > 1


def test_only_the_first_hits_are_read(space, folder) -> None:
    found = keywords(space)
    for query_id, hits in rank(space, folder, rerank_depth=2).items():
        order = [hit.doc_id for hit in found[query_id]]
        assert {hit.doc_id for hit in hits[:2]} == set(order[:2])
        assert [hit.doc_id for hit in hits[2:]] == order[2:]
        assert hits == rank_hits(hits)


def test_more_are_read_than_are_returned(space, folder) -> None:
    whole = rank(space, folder)
    assert rank(space, folder, depth=1) == {query_id: hits[:1] for query_id, hits in whole.items()}


def test_raw_scores_are_logits_and_equal_pairs_have_equal_ones(folder) -> None:
    model = load_cross_encoder(folder, 64, "cpu")
    pairs = [(QUERIES["q1"], text) for text in (*TEXTS.values(), "short")] * 2
    scores = score_pairs(model, pairs)
    assert scores[: len(TEXTS) + 1].tolist() == scores[len(TEXTS) + 1 :].tolist()
    assert scores.min() < 0 or scores.max() > 1  # no sigmoid
    alone = [float(model.predict([pair])[0]) for pair in pairs[: len(TEXTS) + 1]]
    assert scores[: len(TEXTS) + 1].tolist() == pytest.approx(alone, abs=1e-4)
    assert score_pairs(model, []).shape == (0,)


def test_stopped_reading_goes_on_where_it_was(space, folder, monkeypatch) -> None:
    monkeypatch.setattr(reranking, "_PART", 1)
    undisturbed = rank(replace(space, scratch=None), folder)
    told = []

    def stop(done, total, message):
        told.append(message)
        if told.count("documents read") == 2:  # a batch, and the part that it fills
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        rank(space, folder, tick=stop)
    read = []
    score = reranking.score_pairs
    monkeypatch.setattr(
        reranking, "score_pairs", lambda model, pairs, tick: (read.extend(pairs), score(model, pairs, tick))[1]
    )
    assert rank(space, folder) == undisturbed
    assert {query for query, _ in read} == {QUERIES["q1"]}


def test_query_without_keyword_hits_has_none(space, folder) -> None:
    ranker = open_ranker("cross_encoder", space, model=folder)
    assert ranker.rank({"q": "xylophone", "r": ""}, 10, lambda *_: None) == {"q": [], "r": []}


def test_another_kind_of_model_is_refused(space, family_folder) -> None:
    with pytest.raises(InputError, match="holds a bi-encoder, and a cross-encoder is asked for"):
        rank(space, family_folder("bi_encoder"))
