from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from sptar_engine.configs import TrainConfig
from sptar_engine.errors import Cancelled, StageError
from sptar_engine.training.batches import Batch, BatchPlan
from sptar_engine.training.cached_gradients import Room
from sptar_engine.training.learner import Meter
from sptar_engine.training.pace import set_pace
from sptar_engine.training.pairs import TrainingPair
from sptar_engine.training.retriever_loop import RetrieverLoop, Training, evaluation_steps, rate, total_work

PAIRS = [TrainingPair(f"p{number}", "seed", f"q{number}", "d", f"q{number}", number) for number in range(12)]
PLAN = BatchPlan(PAIRS, {}, size=3, epochs=2, seed=1)  # eight steps
CONFIG = TrainConfig(epochs=2, batch_size=3, evaluations=4, learning_rate=0.1)


class Toy:
    """A learner with dropout that fits document keys to a line; dev scores come from a list, or from the weights."""

    def __init__(self, scores: list[float] | None = None) -> None:
        torch.manual_seed(0)
        self.module = nn.Sequential(nn.Linear(1, 4), nn.Dropout(0.5), nn.Linear(4, 1)).eval()
        self.evaluation_size = 5
        self.room = Room(0)
        self.scores: Iterator[float] | None = iter(scores) if scores else None

    def learn(self, batch: Batch) -> float:
        assert self.module.training
        keys = torch.tensor([[float(pair.document_key)] for pair in batch])
        loss = ((self.module(keys) - keys) ** 2).mean()
        loss.backward()
        return loss.item()

    def score(self, meter: Meter) -> float:
        assert not self.module.training
        meter.advance(self.evaluation_size, "evaluating")
        torch.rand(7)  # an evaluation may draw random numbers; training must not notice
        if self.scores:
            return next(self.scores)
        with torch.no_grad():
            return 1 / (1 + (self.module(torch.tensor([[3.0]])) - 3).abs().item())

    def save(self, folder: Path) -> None:
        raise NotImplementedError

    @property
    def weights(self) -> list[float]:
        return [value for tensor in self.module.state_dict().values() for value in tensor.flatten().tolist()]


class Ticks:
    """Notes every report and stops at one of them when asked to."""

    def __init__(self, stop_at: int = 0) -> None:
        self.rows: list[tuple[int, int, str, dict[str, float]]] = []
        self.stop_at = stop_at

    def __call__(self, done: int, total: int, message: str, **metrics: float) -> None:
        self.rows.append((done, total, message, metrics))
        if len(self.rows) == self.stop_at:
            raise Cancelled("stopped")


def make(folder: Path) -> Path:
    folder.mkdir()
    return folder


def train(learner: Toy, folder: Path, ticks: Ticks | None = None, config: TrainConfig = CONFIG) -> Training:
    meter = Meter(ticks or Ticks(), total_work(config, len(PAIRS), learner.evaluation_size, 2))
    return RetrieverLoop(learner, PLAN, config, folder / "checkpoint.pt").run(0.5, meter)


def test_every_step_is_reported_and_every_evaluation(tmp_path) -> None:
    ticks = Ticks()
    training = train(Toy([0.6, 0.7, 0.65, 0.7]), tmp_path, ticks)
    losses = [metrics["step"] for *_, metrics in ticks.rows if "loss" in metrics]
    assert losses == [1, 2, 3, 4, 5, 6, 7, 8]
    measured = [metrics for *_, metrics in ticks.rows if "dev_nDCG@10" in metrics]
    assert [row["dev_nDCG@10"] for row in measured] == [0.6, 0.7, 0.65, 0.7]
    assert [row["best_step"] for row in measured] == [2, 4, 4, 4]  # of equals, the earlier
    assert training.scores == {0: 0.5, 2: 0.6, 4: 0.7, 6: 0.65, 8: 0.7}
    done = [row[0] for row in ticks.rows]
    assert done == sorted(done) and done[-1] <= ticks.rows[0][1]


def test_history_has_a_row_a_step(tmp_path) -> None:
    training = train(Toy([0.6, 0.7, 0.65, 0.7]), tmp_path)
    history = training.history()
    assert history[0] == {"step": 0, "loss": None, "dev_nDCG@10": 0.5}
    assert history[1] == {"step": 1, "loss": training.losses[0], "dev_nDCG@10": None}
    assert history[2] == {"step": 2, "loss": training.losses[1], "dev_nDCG@10": 0.6}
    assert len(history) == 9


def test_loss_falls(tmp_path) -> None:
    losses = train(Toy(), tmp_path).losses
    assert sum(losses[-3:]) < sum(losses[:3])


def test_best_weights_are_those_of_the_best_evaluation(tmp_path) -> None:
    short, full = Toy([0.6, 0.9]), Toy([0.6, 0.9, 0.7, 0.7])
    stopped = Ticks(stop_at=7)  # two steps, an evaluation and its report, two steps, an evaluation, …
    with pytest.raises(Cancelled):
        train(short, make(tmp_path / "short"), stopped)
    training = train(full, make(tmp_path / "full"))
    assert training.best_step == 4
    assert [v for tensor in training.best.values() for v in tensor.flatten().tolist()] == short.weights


@pytest.mark.parametrize("stop_at", [1, 2, 3, 4, 5, 9, 13, 16])
def test_stopped_anywhere_and_started_again_it_ends_with_the_same_bytes(tmp_path, stop_at) -> None:
    whole, again = Toy(), Toy()
    expected = train(whole, make(tmp_path / "whole"))
    with pytest.raises(Cancelled):
        train(Toy(), tmp_path, Ticks(stop_at))
    resumed = train(again, tmp_path)
    assert again.weights == whole.weights
    assert resumed.history() == expected.history()
    assert all(torch.equal(resumed.best[name], expected.best[name]) for name in expected.best)


def test_finished_checkpoint_is_not_trained_further(tmp_path) -> None:
    expected = train(Toy(), tmp_path)
    ticks = Ticks()
    assert train(Toy(), tmp_path, ticks).history() == expected.history()
    assert ticks.rows == []


def test_broken_checkpoint_counts_as_none(tmp_path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"PK\x03\x04 cut short")
    assert train(Toy(), tmp_path).step == 8


def test_training_stops_when_evaluations_bring_nothing(tmp_path) -> None:
    config = TrainConfig(epochs=2, batch_size=3, evaluations=4, patience=2)
    training = train(Toy([0.6, 0.55, 0.6]), tmp_path, config=config)
    assert training.step == 6  # the third evaluation was the second without a better score
    again = train(Toy(), tmp_path, config=config)
    assert again.history() == training.history()


def test_loss_that_is_no_number_names_the_learning_rate(tmp_path) -> None:
    learner = Toy()
    learner.learn = lambda batch: float("nan")  # type: ignore[method-assign]
    with pytest.raises(StageError, match=r"nan at step 1; a lower train.learning_rate than 0.1"):
        train(learner, tmp_path)


def test_parameters_learn_at_their_own_pace_and_frozen_ones_not(tmp_path) -> None:
    learner, fast = Toy(), Toy()
    learner.module[0].bias.requires_grad = fast.module[0].bias.requires_grad = False
    before = [value.clone() for value in learner.module.state_dict().values()]
    set_pace(fast.module[2].parameters(), 3.0)
    config = TrainConfig(epochs=2, batch_size=3, evaluations=1, learning_rate=1e-4)
    train(learner, make(tmp_path / "slow"), config=config)
    train(fast, make(tmp_path / "fast"), config=config)
    weight, bias = before[0], before[1]
    assert torch.equal(learner.module[0].bias, bias) and not torch.equal(learner.module[0].weight, weight)
    moved = [(one.module[2].weight - before[2]).abs().sum().item() for one in (learner, fast)]
    assert 2 * moved[0] < moved[1] < 4 * moved[0]
    assert "0.bias" not in torch.load(tmp_path / "slow" / "checkpoint.pt")["weights"]


def test_evaluations_are_spread_evenly_and_end_with_the_last_step() -> None:
    assert evaluation_steps(10, 3) == {4, 7, 10}
    assert evaluation_steps(8, 1) == {8}
    assert evaluation_steps(2, 5) == {1, 2}


def test_learning_rate_rises_then_falls_in_lines() -> None:
    assert [rate(step, 6, 1 / 3) for step in range(1, 7)] == [0.5, 1.0, 0.8, 0.6, 0.4, 0.2]
    assert [rate(step, 2, 0.0) for step in (1, 2)] == [2 / 3, 1 / 3]
    assert [rate(step, 2, 1.0) for step in (1, 2)] == [0.5, 1.0]


def test_what_little_memory_allows_is_still_known_after_a_stop(tmp_path) -> None:
    first, again = Toy(), Toy()
    first.room.held = 2
    with pytest.raises(Cancelled):
        train(first, tmp_path, Ticks(9))
    train(again, tmp_path)
    assert again.room.held == 2
