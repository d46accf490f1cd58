from pathlib import Path

import pytest
import torch

from sptar_engine.training.learner import Meter
from sptar_engine.training.mixing import choose_mixture, mix


class ScoredByWeight:
    """A learner of one weight whose score is a table look-up."""

    def __init__(self, scores: dict[float, float]) -> None:
        self.module = torch.nn.Linear(1, 1, bias=False)
        self.evaluation_size = 1
        self.scores = scores
        self.asked: list[float] = []

    def learn(self, batch: object) -> float:
        raise NotImplementedError

    def score(self, meter: Meter) -> float:
        self.asked.append(round(self.weight, 6))
        return self.scores[self.asked[-1]]

    def save(self, folder: Path) -> None:
        raise NotImplementedError

    @property
    def weight(self) -> float:
        return float(self.module.weight.item())


def weights(value: float) -> dict[str, torch.Tensor]:
    return {"weight": torch.tensor([[value]])}


def choose(learner: ScoredByWeight, base_score: float, trained_score: float, shares: tuple[float, ...]):
    meter = Meter(lambda *_, **__: None, 10)
    known = {0.0: base_score, 1.0: trained_score}
    return choose_mixture(learner, weights(0.0), weights(1.0), known, shares, meter)


def test_mixture_is_the_weighted_mean_of_each_entry() -> None:
    base = {"a": torch.tensor([1.0, 4.0]), "b": torch.tensor([[2.0]]), "ids": torch.tensor([0, 1])}
    trained = {"a": torch.tensor([3.0, 0.0]), "b": torch.tensor([[6.0]]), "ids": torch.tensor([0, 1])}
    mixed = mix(trained, base, 0.25)
    assert mixed["a"].tolist() == [1.5, 3.0]
    assert mixed["b"].tolist() == [[3.0]]
    assert mixed["ids"].tolist() == [0, 1]


def test_shares_zero_and_one_are_the_ends_to_the_last_bit() -> None:
    torch.manual_seed(0)
    base, trained = {"a": torch.randn(1000)}, {"a": torch.randn(1000)}
    assert torch.equal(mix(trained, base, 0.0)["a"], base["a"])
    assert torch.equal(mix(trained, base, 1.0)["a"], trained["a"])


def test_best_share_wins_and_its_weights_stay() -> None:
    learner = ScoredByWeight({0.5: 0.43})
    mixture = choose(learner, 0.41, 0.42, (0.5, 1.0))
    assert (mixture.share, mixture.scores) == (0.5, {0.0: 0.41, 0.5: 0.43, 1.0: 0.42})
    assert learner.weight == 0.5


def test_what_is_known_is_not_measured_again() -> None:
    learner = ScoredByWeight({})
    assert choose(learner, 0.41, 0.42, (1.0,)).share == 1.0
    assert learner.asked == []


@pytest.mark.parametrize(("base", "half", "trained", "share"), [(0.4, 0.4, 0.4, 0.0), (0.3, 0.4, 0.4, 0.5)])
def test_of_equals_the_less_trained_wins(base, half, trained, share) -> None:
    learner = ScoredByWeight({0.5: half})
    assert choose(learner, base, trained, (0.5, 1.0)).share == share
    assert learner.weight == share
