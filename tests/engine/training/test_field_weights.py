"""Weights under which the answers are likeliest."""

import numpy as np
import pytest

from sptar_engine.training import field_weights
from sptar_engine.training.field_weights import fit_weights
from sptar_engine.training.fields import Field


def test_weights_are_those_that_make_the_answers_likeliest() -> None:
    rng = np.random.default_rng(5)
    fields, answers = {}, {}
    for number in range(400):
        features = rng.random((6, 2))
        odds = np.exp(features @ [7.0, 3.0])
        fields[str(number)] = Field(tuple("abcdef"), features)
        answers[str(number)] = ["abcdef"[rng.choice(6, p=odds / odds.sum())]]
    weights = fit_weights(fields, answers)
    assert (weights.cosine, weights.share) == pytest.approx((7.0, 3.0), abs=0.6)


def test_weight_of_a_search_that_misleads_is_zero() -> None:
    field = Field(("a", "b"), np.array([[0.9, 0.0], [0.1, 1.0]]))
    assert fit_weights({"q": field}, {"q": ["a"]}).share == 0.0


def test_best_hit_of_bm25_is_worth_two_cosines_at_most() -> None:
    # The answers have the lowest cosines and the most words in common: cosines alone mislead.
    rng = np.random.default_rng(6)
    rows = {str(number): np.sort(rng.random((5, 2)), axis=0) * [-0.4, 1.0] + [0.9, 0.0] for number in range(30)}
    fields = {
        key: Field(tuple("abcde"), np.column_stack([row[:, 0], row[:, 1] / row[:, 1].max()]))
        for key, row in rows.items()
    }
    answers = dict.fromkeys(rows, "e")
    weights = fit_weights(fields, answers)
    assert weights.share == 2 * weights.cosine > 0
    telling = [(field.features, np.array(field.doc_ids) == "e") for field in fields.values()]
    loss = field_weights._loss(np.array([weights.cosine, weights.share]), telling)[0]
    others = [weights.cosine * factor for factor in (0.9, 0.99, 1.01, 1.1) if weights.cosine * factor <= 50]
    assert all(loss <= field_weights._loss(np.array([one, 2 * one]), telling)[0] for one in others)


def test_base_stands_alone_where_no_answer_is_known() -> None:
    field = Field(("a",), np.array([[0.9, 1.0]]))
    assert fit_weights({"q": field}, {}).share == 0.0
