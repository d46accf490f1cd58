"""MaxSim over a whole corpus and over given hits, against sentence-transformers' own scores."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sentence_transformers import MultiVectorEncoder

from sptar_engine.errors import Cancelled, InputError
from sptar_engine.records import Hit, rank_hits
from sptar_engine.retrieval import late_interaction
from sptar_engine.retrieval.encoder import load_late_interaction
from sptar_engine.retrieval.ranking import open_ranker
from tests.engine.retrieval.conftest import QUERIES, TEXTS


@pytest.fixture
def folder(family_folder):
    return family_folder("late_interaction")


def rank(space, folder, depth: int = 10, exact_limit: int = 100, tick=lambda *_: None):
    return open_ranker("late_interaction", space, model=folder, exact_limit=exact_limit).rank(QUERIES, depth, tick)


def theirs(folder) -> dict[str, dict[str, float]]:
    """Each text by itself, so that no padding takes part."""
    model = MultiVectorEncoder(str(folder), device="cpu")
    return {
        query_id: {
            doc_id: model.similarity(model.encode_query([query]), model.encode_document([text])).item()
            for doc_id, text in TEXTS.items()
        }
        for query_id, query in QUERIES.items()
    }


def test_every_document_is_scored_as_sentence_transformers_does(space, folder) -> None:
    found, expected = rank(space, folder), theirs(folder)
    for query_id in QUERIES:
        assert {hit.doc_id: hit.score for hit in found[query_id]} == pytest.approx(expected[query_id], abs=1e-5)
        assert found[query_id] == rank_hits(found[query_id])


def test_score_is_the_sum_of_the_best_products_of_each_query_token(space, folder) -> None:
    model = load_late_interaction(folder, 64, "cpu")
    (query,) = late_interaction.encode_queries(model, [QUERIES["q1"]])
    (document,) = late_interaction.encode_documents(model, [TEXTS["d2"]])
    by_hand = sum(max(float(one @ other) for other in document) for one in query)
    hits = {hit.doc_id: hit.score for hit in rank(space, folder)["q1"]}
    assert hits["d2"] == pytest.approx(by_hand, abs=1e-5)


def test_equal_texts_tie_and_stand_by_their_ids_whatever_the_blocks(space, folder, monkeypatch) -> None:
    whole = rank(space, folder)
    for hits in whole.values():
        scores = {hit.doc_id: hit.score for hit in hits}
        order = [hit.doc_id for hit in hits]
        assert scores["b-copy"] == scores["d1"]
        assert order.index("d1") == order.index("b-copy") + 1
    monkeypatch.setattr(late_interaction, "_BLOCK", 1)
    pieces = rank(replace(space, scratch=None), folder)
    for query_id, hits in pieces.items():
        assert [hit.doc_id for hit in hits] == [hit.doc_id for hit in whole[query_id]]


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_depth_cuts_the_same_order(space, folder, depth) -> None:
    whole = rank(space, folder)
    assert rank(space, folder, depth) == {query_id: hits[:depth] for query_id, hits in whole.items()}


def test_stopped_search_goes_on_where_it_was(space, folder, monkeypatch) -> None:
    monkeypatch.setattr(late_interaction, "_BLOCK", 2)
    undisturbed = rank(replace(space, scratch=None), folder)

    def stop(done, total, message):
        raise Cancelled("stop")

    with pytest.raises(Cancelled):
        rank(space, folder, tick=stop)
    read = []
    encode = late_interaction.encode_documents
    monkeypatch.setattr(
        late_interaction, "encode_documents", lambda model, texts: (read.extend(texts), encode(model, texts))[1]
    )
    assert rank(space, folder) == undisturbed
    assert read == [TEXTS["d2"], TEXTS["d5"]]  # the first block of two is not encoded again


def test_beyond_the_limit_keyword_hits_are_put_in_order(space, folder) -> None:
    expected = theirs(folder)
    found = rank(space, folder, exact_limit=4)
    keywords = open_ranker("bm25", space).rank(QUERIES, 10, lambda *_: None)
    for query_id, hits in found.items():
        assert {hit.doc_id for hit in hits} == {hit.doc_id for hit in keywords[query_id]}
        assert {hit.doc_id: hit.score for hit in hits} == pytest.approx(
            {hit.doc_id: expected[query_id][hit.doc_id] for hit in hits}, abs=1e-5
        )
        assert hits == rank_hits(hits)


def test_stopped_reordering_goes_on_to_the_same(space, folder, monkeypatch) -> None:
    monkeypatch.setattr(late_interaction, "_BLOCK", 1)
    undisturbed = rank(replace(space, scratch=None), folder, exact_limit=0)
    told = []

    def stop(done, total, message):
        told.append(message)
        if told.count("documents encoded and compared") == 2:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        rank(space, folder, exact_limit=0, tick=stop)
    assert rank(space, folder, exact_limit=0) == undisturbed


def test_query_that_keywords_find_nothing_for_has_no_hits_beyond_the_limit(space, folder) -> None:
    ranker = open_ranker("late_interaction", space, model=folder, exact_limit=0)
    assert ranker.rank({"q": "xylophone"}, 10, lambda *_: None) == {"q": []}


def test_another_kind_of_model_is_refused(space, family_folder) -> None:
    with pytest.raises(InputError, match="holds a cross-encoder, and a late interaction model is asked for"):
        rank(space, family_folder("cross_encoder"))


def test_given_hits_need_not_come_from_keywords(space, folder) -> None:
    model = load_late_interaction(folder, 64, "cpu")
    hits = {"q1": [Hit("d5", 0.9), Hit("b-copy", 0.5), Hit("d1", 0.1)], "q2": []}
    found = late_interaction.reorder_by_tokens(model, QUERIES, hits, space, lambda *_: None)
    assert {hit.doc_id for hit in found["q1"]} == {"d5", "b-copy", "d1"}
    scores = {hit.doc_id: hit.score for hit in found["q1"]}
    assert scores["b-copy"] == scores["d1"]
    assert found["q2"] == []
