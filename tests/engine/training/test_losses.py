import math

import pytest
import torch
from torch.nn import functional

from sptar_engine.training.losses import contrastive_loss, flops_loss

SCORES = torch.tensor([[1.2, 0.0, 2.0], [1.6, 2.0, 0.0]])
OWN = torch.tensor([[True, False, False], [False, True, False]])
NONE = torch.zeros(2, 3, dtype=torch.bool)


def nats(own: float, *others: float) -> float:
    return -math.log(math.exp(own) / sum(map(math.exp, (own, *others))))


def test_loss_of_a_worked_example() -> None:
    expected = (nats(1.2, 0.0, 2.0) + nats(2.0, 1.6, 0.0)) / 2
    assert contrastive_loss(SCORES, OWN, NONE).item() == pytest.approx(expected)


def test_hidden_document_does_not_count() -> None:
    hidden = NONE.clone()
    hidden[0, 2] = True
    expected = (nats(1.2, 0.0) + nats(2.0, 1.6, 0.0)) / 2
    assert contrastive_loss(SCORES, OWN, hidden).item() == pytest.approx(expected)


def test_several_answers_share_the_loss_each_against_all_documents() -> None:
    answers = OWN.clone()
    answers[0, 2] = True
    first = (nats(1.2, 0.0, 2.0) + nats(2.0, 1.2, 0.0)) / 2
    expected = (first + nats(2.0, 1.6, 0.0)) / 2
    assert contrastive_loss(SCORES, answers, NONE).item() == pytest.approx(expected)


def test_one_answer_each_is_cross_entropy() -> None:
    torch.manual_seed(0)
    scores = torch.randn(5, 9)
    answers = functional.one_hot(torch.arange(5), 9).bool()
    expected = functional.cross_entropy(scores, torch.arange(5))
    torch.testing.assert_close(contrastive_loss(scores, answers, torch.zeros(5, 9, dtype=torch.bool)), expected)


def test_gradient_of_hidden_documents_is_zero_and_no_nan() -> None:
    scores = SCORES.clone().requires_grad_()
    hidden = NONE.clone()
    hidden[0, 2] = True
    contrastive_loss(scores, OWN, hidden).backward()
    assert scores.grad is not None and scores.grad.isfinite().all() and scores.grad[0, 2] == 0


def test_loss_of_a_pair_alone_is_zero() -> None:
    one = torch.ones(1, 1, dtype=torch.bool)
    assert contrastive_loss(torch.tensor([[3.0]]), one, ~one).item() == 0


def test_flops_are_the_squared_mean_activations() -> None:
    assert flops_loss(torch.tensor([[1.0, 0.0, 2.0], [3.0, 0.0, 0.0]])).item() == 2.0**2 + 0 + 1.0**2
