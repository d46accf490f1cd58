"""The training loop of a retriever, the same for every family.

It is our own, not sentence-transformers' trainer: batches must be free of conflicts across the whole epoch, a step
must be able to stop, and a stopped run must end with the same bytes as an undisturbed one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from sptar_engine.configs import TrainConfig
from sptar_engine.errors import StageError
from sptar_engine.training.batches import Batch, BatchPlan
from sptar_engine.training.checkpoints import load_checkpoint, save_checkpoint
from sptar_engine.training.development import MEASURE
from sptar_engine.training.learner import Learner, Meter
from sptar_engine.training.lora import load_trained_values, trained_values
from sptar_engine.training.pace import parameter_groups

_CLIP = 1.0  # largest norm of a gradient: one odd batch does not throw a small training off
_STEP_COST = 3  # a pair's forward and backward pass against the forward pass of a document in an evaluation


@dataclass(slots=True)
class Training:
    """Where a training stands: the loss of every step so far (nats), dev scores by step, the best weights.

    Step 0 is what the training has to beat: the untrained model, or another where that is random. `best` is what
    `lora.trained_values` gave at `best_step`, which is never 0.
    """

    losses: list[float] = field(default_factory=list)
    scores: dict[int, float] = field(default_factory=dict)
    best: dict[str, Tensor] = field(default_factory=dict)

    @property
    def step(self) -> int:
        """Steps that are done."""
        return len(self.losses)

    @property
    def best_step(self) -> int:
        """The step of the best trained weights, the earliest of equals; 0 before there are any."""
        return max((step for step in self.scores if step), key=lambda step: (self.scores[step], -step), default=0)

    def add_score(self, score: float, module: torch.nn.Module) -> None:
        """Note the score of this step, and keep the weights when no earlier step was as good."""
        self.scores[self.step] = score
        if self.best_step == self.step:
            self.best = trained_values(module)

    def is_stale(self, patience: int) -> bool:
        """Whether the last `patience` evaluations brought nothing better."""
        return sum(step > self.best_step for step in self.scores) >= patience

    def history(self) -> list[dict[str, float | int | None]]:
        """A row per step, as history.jsonl has them; numbers that were not measured are None."""
        return [
            {"step": step, "loss": self.losses[step - 1] if step else None, f"dev_{MEASURE}": self.scores.get(step)}
            for step in range(self.step + 1)
        ]


@dataclass(frozen=True, slots=True)
class RetrieverLoop:
    """Trains a learner on the batches of a plan with AdamW, linear warm-up and decay, and clipped gradients."""

    learner: Learner
    plan: BatchPlan
    config: TrainConfig
    checkpoint: Path

    def run(self, base_score: float, meter: Meter) -> Training:
        """Train to the end of the plan, or until `patience` evaluations brought nothing.

        The state at each evaluation is in the checkpoint; when that file is there, training goes on from it to the
        same weights as without the stop. Raises StageError when the loss is not a number.
        """
        module = self.learner.module
        optimizer = torch.optim.AdamW(parameter_groups(module), lr=self.config.learning_rate, weight_decay=0.0)
        training = _load(self.checkpoint, self.learner, optimizer) or Training(scores={0: base_score})
        total = self.plan.steps
        evaluations = evaluation_steps(total, self.config.evaluations)
        for step, batch in enumerate(islice(self.plan, total), 1):
            if training.is_stale(self.config.patience):
                break
            if step <= training.step:
                meter.skip(_STEP_COST * len(batch) + (self.learner.evaluation_size if step in evaluations else 0))
                continue
            loss = self._step(batch, step, total, optimizer)
            training.losses.append(loss)
            meter.advance(_STEP_COST * len(batch), f"step {step} of {total}", loss=loss, step=step)
            if step in evaluations:
                self._evaluate(training, optimizer, meter, total)
        return training

    def _step(self, batch: Batch, step: int, total: int, optimizer: torch.optim.Optimizer) -> float:
        """One step. Dropout draws from a seed of its own step, so that nothing done before or between matters."""
        torch.manual_seed((self.config.seed << 32) + step)
        module = self.learner.module
        for group in optimizer.param_groups:
            group["lr"] = group["pace"] * self.config.learning_rate * rate(step, total, self.config.warmup)
        module.train()
        optimizer.zero_grad()
        loss = self.learner.learn(batch)
        if not math.isfinite(loss):
            raise StageError(
                f"The loss of training {self.config.base} is {loss} at step {step}; a lower train.learning_rate than "
                f"{self.config.learning_rate:g} keeps it a number."
            )
        torch.nn.utils.clip_grad_norm_(module.parameters(), _CLIP)
        optimizer.step()
        module.eval()
        return loss

    def _evaluate(self, training: Training, optimizer: torch.optim.Optimizer, meter: Meter, total: int) -> None:
        score = self.learner.score(meter)
        training.add_score(score, self.learner.module)
        _save(self.checkpoint, training, self.learner, optimizer)
        measured = {f"dev_{MEASURE}": score, "best_step": training.best_step, "step": training.step}
        meter.advance(0, f"step {training.step} of {total}: held-out {MEASURE} {score:.3f}", **measured)


def total_work(config: TrainConfig, pairs: int, evaluation_size: int, others: int) -> int:
    """What a whole training counts on a Meter: the steps, the evaluations of the run, and `others`."""
    evaluations = config.evaluations + others
    return _STEP_COST * pairs * config.epochs + evaluation_size * evaluations


def evaluation_steps(total: int, count: int) -> frozenset[int]:
    """`count` steps spread evenly over 1 to `total`, the last one always among them."""
    return frozenset(math.ceil(total * number / count) for number in range(1, count + 1))


def rate(step: int, total: int, warmup: float) -> float:
    """Share of the learning rate at a step from 1 to `total`: up in a line, then down to just above 0."""
    rising = round(warmup * total)
    return step / rising if step <= rising else (total - step + 1) / (total - rising + 1)


def _save(checkpoint: Path, training: Training, learner: Learner, optimizer: torch.optim.Optimizer) -> None:
    state = {
        "losses": training.losses,
        "scores": training.scores,
        "best": training.best,
        "weights": trained_values(learner.module),
        "optimizer": optimizer.state_dict(),
        "held": learner.room.held,
    }
    save_checkpoint(checkpoint, state)


def _load(checkpoint: Path, learner: Learner, optimizer: torch.optim.Optimizer) -> Training | None:
    """Put the state of the last evaluation in place, if there is one."""
    state = load_checkpoint(checkpoint)
    if state is None:
        return None
    load_trained_values(learner.module, state["weights"])
    learner.room.held = state["held"]
    optimizer.load_state_dict(state["optimizer"])
    return Training(state["losses"], state["scores"], state["best"])
