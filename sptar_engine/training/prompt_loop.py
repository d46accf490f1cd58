"""The training loop of a soft prompt (SPTAR, arXiv 2307.08303, section 3; settings of the official code).

What it does for speed changes no result: the pairs of a batch run in groups of like length, logits are computed for
query tokens only, and the soft prompt runs through the model once a step, as one row whose keys and values the whole
batch shares. Which pairs share a batch is left to chance: batches of like length waste nothing on padding, but one
that has only long documents pulls the prompt their way, and the same loss then takes half as many pairs again
(benchmarks.tuning on the sample).

At learning rate 3e-2 the held-out loss goes up and down by 0.1 from step to step. What is measured and kept is
therefore the average of the last steps, which is lower than nearly all of them and reached with fewer pairs.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor

from sptar_engine.configs import TuneConfig
from sptar_engine.errors import StageError
from sptar_engine.prompting.scoring import Item, mean_loss, perplexity, query_losses, token_losses
from sptar_engine.prompting.soft_prompt import LanguageModel, soft_prefix, trainable
from sptar_engine.prompting.template import PromptTokens
from sptar_engine.records import SeedPair
from sptar_engine.training.average import Average
from sptar_engine.training.checkpoints import load_checkpoint, save_checkpoint

Seeds = Mapping[str, Sequence[SeedPair]]
"""Labelled pairs by query id, at least one each."""

HELDOUT_TOKENS = 4096  # of a batch of held-out pairs; sets memory, not results
# At learning rate 3e-2 one unusual pair can throw the prompt far off. AdamW divides by the running size of the
# gradient, so its scale does not matter but a spike does; clipped at norm 1 a spike counts as an ordinary step.
_CLIP = 1.0
_LIKE_LENGTH = 0.7  # shortest pair of a group as a share of its longest: little padding, few small groups


@dataclass(frozen=True, slots=True)
class Epochs:
    """The training pairs of every epoch, a function of the seed and the epoch's number (from 1) alone.

    An epoch has one item per query: its relevant documents take turns. With `examples` above 0 that many pairs
    of other queries, drawn anew each time, stand before it.
    """

    seeds: Seeds
    tokens: PromptTokens
    examples: int
    batch_size: int
    seed: int

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return math.ceil(len(self.seeds) / self.batch_size)

    def batches(self, epoch: int) -> list[list[Item]]:
        """The epoch's items in random order."""
        rng = self._rng(epoch, "order")
        items = [self._item(query_id, epoch) for query_id in self.seeds]
        rng.shuffle(items)
        return [items[at : at + self.batch_size] for at in range(0, len(items), self.batch_size)]

    def _item(self, query_id: str, epoch: int) -> Item:
        pairs = self.seeds[query_id]
        pair = pairs[(epoch - 1) % len(pairs)]
        rng = self._rng(epoch, f"examples of {query_id}")
        others = rng.sample([other for other in self.seeds if other != query_id], self.examples)
        shown = self.tokens.examples([rng.choice(self.seeds[other]) for other in others])
        return shown + self.tokens.document(pair.document), self.tokens.query(pair.query.text)

    def _rng(self, epoch: int, use: str) -> random.Random:
        return random.Random(f"{self.seed}/{epoch}/{use}")


def first_items(seeds: Seeds, tokens: PromptTokens) -> list[Item]:
    """One fixed item per query, its first pair: what held-out perplexity is measured on."""
    firsts = (pairs[0] for pairs in seeds.values())
    return [(tokens.document(pair.document), tokens.query(pair.query.text)) for pair in firsts]


@dataclass(slots=True)
class Tuning:
    """How far a tuning is. Rows of `history` are those of history.jsonl, epoch 0 (before training) first."""

    history: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)

    @property
    def epoch(self) -> int:
        """Epochs that are done."""
        return len(self.history) - 1

    def heldout_loss(self, epoch: int) -> float:
        """Held-out loss after an epoch, nats per query token."""
        return float(self.history[epoch]["heldout_loss"])

    def add(self, train_loss: float | None, heldout_loss: float, values: Mapping[str, Tensor]) -> None:
        """Note an epoch, and keep its values when no earlier epoch was as good."""
        epoch = len(self.history)
        if epoch == 0 or heldout_loss < self.heldout_loss(self.best_epoch):
            self.best_epoch = epoch
            self.best = {name: value.detach().clone() for name, value in values.items()}
        self.history.append({
            "epoch": epoch,
            "train_loss": train_loss,
            "heldout_loss": heldout_loss,
            "heldout_perplexity": perplexity(heldout_loss),
        })  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pace:
    """What a training has gathered from its steps, besides the values themselves."""

    optimizer: torch.optim.Optimizer
    average: Average


@dataclass(frozen=True)
class PromptLoop:
    """Trains the soft prompt of `peft_model` on `epochs` and measures it on the items of `heldout`.

    `tick(done, total, message, **metrics)` is called once per batch and once per epoch.
    """

    language_model: LanguageModel
    peft_model: PeftModel
    epochs: Epochs
    heldout: Sequence[Item]
    config: TuneConfig
    tick: Callable[..., None]

    def run(self, checkpoint: Path) -> Tuning:
        """Train until `config.epochs` are done or `config.patience` brought nothing; leave the best values in place.

        `checkpoint` holds the state after each epoch; if that file is there, training goes on from it and ends
        with the same values as without the stop. Raises StageError when a loss is not a number.
        """
        module, pace, config = trainable(self.peft_model), self.make_pace(), self.config
        tuning = _load(checkpoint, module, pace) or Tuning()
        if not tuning.history:
            tuning.add(None, self.measure(), module.state_dict())
        while tuning.epoch < config.epochs and tuning.epoch - tuning.best_epoch < config.patience:
            train_loss = self.train_epoch(tuning.epoch + 1, pace)
            with pace.average.in_place():
                tuning.add(train_loss, self.measure(), module.state_dict())
            _save(checkpoint, tuning, module, pace)
            self._tick_epoch(tuning)
        module.load_state_dict(tuning.best)
        return tuning

    def make_pace(self) -> Pace:
        """AdamW over the soft prompt's values, and their average; `train_epoch` sets each step's learning rate."""
        module, config = trainable(self.peft_model), self.config
        optimizer = torch.optim.AdamW(module.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
        return Pace(optimizer, Average(module, config.average))

    def train_epoch(self, epoch: int, pace: Pace) -> float:
        """One pass over the pairs. Returns nats per query token, each batch measured before its own step."""
        optimizer, average = pace.optimizer, pace.average
        module, batches = trainable(self.peft_model), self.epochs.batches(epoch)
        done, total = (epoch - 1) * len(batches), self.config.epochs * len(batches)
        nats, tokens = 0.0, 0
        module.train()
        for batch in batches:
            for group in optimizer.param_groups:
                group["lr"] = self.config.learning_rate * (1 - done / total)
            prefix = soft_prefix(self.language_model, self.peft_model)
            losses = torch.cat([token_losses(self.language_model, prefix, some) for some in like_lengths(batch)])
            loss = losses.mean()
            value = self._checked(loss.item(), f"in epoch {epoch}")
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(module.parameters(), _CLIP)
            optimizer.step()
            average.step()
            nats, tokens, done = nats + value * len(losses), tokens + len(losses), done + 1
            self.tick(done, total, self._message(epoch), epoch=epoch, loss=value)
        module.eval()
        return nats / tokens

    def measure(self) -> float:
        """Held-out loss with the soft prompt as it is, nats per query token."""
        with torch.no_grad():
            prefix = soft_prefix(self.language_model, self.peft_model)
        loss = mean_loss(query_losses(self.language_model, prefix, self.heldout, HELDOUT_TOKENS))
        return self._checked(loss, "on the held-out pairs")

    def _checked(self, loss: float, where: str) -> float:
        if math.isfinite(loss):
            return loss
        raise StageError(
            f"The loss {where} of tuning {self.config.model} is {loss}; a lower tune.learning_rate than "
            f"{self.config.learning_rate:g} or tune.dtype=float32 (now {self.config.dtype}) keeps it a number."
        )

    def _tick_epoch(self, tuning: Tuning) -> None:
        done, total = tuning.epoch * self.epochs.steps, self.config.epochs * self.epochs.steps
        value = perplexity(tuning.heldout_loss(tuning.epoch))
        metrics = {"epoch": tuning.epoch, "heldout_perplexity": value, "best_epoch": tuning.best_epoch}
        self.tick(done, total, self._message(tuning.epoch), **metrics)

    def _message(self, epoch: int) -> str:
        return f"epoch {epoch} of {self.config.epochs}"


def like_lengths(batch: Sequence[Item]) -> list[list[Item]]:
    """The items, longest first, in groups of like length."""
    groups: list[list[Item]] = []
    for item in sorted(batch, key=_length, reverse=True):
        if groups and _length(item) >= _LIKE_LENGTH * _length(groups[-1][0]):
            groups[-1].append(item)
        else:
            groups.append([item])
    return groups


def _length(item: Item) -> int:
    return len(item[0]) + len(item[1])


def _save(checkpoint: Path, tuning: Tuning, module: Any, pace: Pace) -> None:
    state = {
        "history": tuning.history,
        "best_epoch": tuning.best_epoch,
        "best": tuning.best,
        "values": module.state_dict(),
        "optimizer": pace.optimizer.state_dict(),
        "average": pace.average.state_dict(),
    }
    save_checkpoint(checkpoint, state)


def _load(checkpoint: Path, module: Any, pace: Pace) -> Tuning | None:
    """Put the state of the last finished epoch in place, if there is one."""
    state = load_checkpoint(checkpoint)
    if state is None:
        return None
    module.load_state_dict(state["values"])
    pace.optimizer.load_state_dict(state["optimizer"])
    pace.average.load_state_dict(state["average"])
    return Tuning(state["history"], state["best_epoch"], state["best"])
