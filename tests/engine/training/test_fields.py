"""The field of a query: what is in it, and a second look."""

import numpy as np

from sptar_engine.retrieval.feedback import move_towards
from sptar_engine.training import fields
from sptar_engine.training.fields import Field, SecondLook, Weights, survey
from tests.engine.training.two_small_searches import Searches


def test_field_has_what_either_search_finds_first_and_what_is_known() -> None:
    ((key, field),) = survey(Searches(), {"q": "lift"}, 1, {})
    assert (key, field.doc_ids) == ("q", ("d1", "d3"))
    np.testing.assert_allclose(field.features, [[0.9, 0.0], [0.1, 1.0]])
    ((_, field),) = survey(Searches(), {"q": "lift"}, 1, {"q": ["d2"]})
    np.testing.assert_allclose(field.features, [[0.9, 0.0], [0.5, 0.25], [0.1, 1.0]])


def test_queries_are_encoded_together_and_searched_in_chunks(monkeypatch) -> None:
    searches, queries, asked = Searches(), dict.fromkeys("abcde", "lift"), []
    expected = dict(survey(searches, queries, 1, {}))
    encode, words = searches.encode, searches.words
    monkeypatch.setattr(fields, "_CHUNK", 2)
    monkeypatch.setattr(searches, "encode", lambda texts: asked.append(("encode", len(texts))) or encode(texts))
    monkeypatch.setattr(searches, "words", lambda some, depth: asked.append(("words", len(some))) or words(some, depth))
    found = dict(survey(searches, queries, 1, {}))
    assert asked == [("encode", 5), ("words", 2), ("words", 2), ("words", 1)]
    assert list(found) == list(expected)
    for key, field in found.items():
        assert field.doc_ids == expected[key].doc_ids
        np.testing.assert_array_equal(field.features, expected[key].features)


def test_weighted_sum_ranks_and_ties_fall_to_the_smaller_id() -> None:
    field = Field(("b", "a", "c"), np.array([[0.5, 0.0], [0.5, 0.0], [0.0, 1.0]]))
    ranked = field.ranked(Weights(10.0, 6.0), 2)
    assert [(hit.doc_id, hit.score) for hit in ranked] == [("c", 6.0), ("a", 5.0)]


def test_second_look_searches_with_the_moved_vector_and_measures_with_it() -> None:
    searches = Searches()
    # In the first look BM25's best document comes first: 1 + 9 against 9 of the nearest one.
    again = SecondLook(Weights(10.0, 9.0), 1, 1.0)
    ((_, field),) = survey(searches, {"q": "lift"}, 1, {"q": ["d2"]}, again)
    moved = move_towards(np.array([1.0, 0.0]), np.array([searches.vectors["d3"]]), 1.0)
    assert field.doc_ids == ("d1", "d2", "d3")
    np.testing.assert_allclose(field.features[:, 0], searches.cosines(moved, field.doc_ids), rtol=1e-6)
    np.testing.assert_allclose(field.features[:, 1], [0.0, 0.25, 1.0])
    ((_, nearest),) = survey(searches, {"q": "lift"}, 1, {}, SecondLook(Weights(10.0, 0.0), 1, 2.0))
    assert nearest.doc_ids == ("d1", "d3") and nearest.features[0, 0] > 0.97


def test_what_is_known_has_no_part_in_the_first_look() -> None:
    searches, again = Searches(), SecondLook(Weights(10.0, 0.0), 3, 1.0)
    looks = [dict(survey(searches, {"q": "lift"}, 1, known, again))["q"] for known in ({}, {"q": ["d2"]})]
    shared = [look.features[[look.doc_ids.index("d1"), look.doc_ids.index("d3")]] for look in looks]
    np.testing.assert_array_equal(*shared)
