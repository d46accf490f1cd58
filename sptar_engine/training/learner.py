"""What the training loop and a family of retrievers know of each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch

from sptar_engine.configs import TrainConfig
from sptar_engine.training.base_vectors import BaseVectors
from sptar_engine.training.batches import Batch
from sptar_engine.training.cached_gradients import Room
from sptar_engine.training.development import DevelopmentSet
from sptar_engine.training.pairs import TrainingSet


@dataclass(frozen=True, slots=True)
class Lesson:
    """Everything a family needs to build its learner.

    `base` is the folder of the untrained model. `training_set` has the hard negatives that take part. `taught` has a
    teacher's scores by query key and document key, and is empty when nobody teaches; the texts of the documents are
    those of the training set. `prepare` and `cache` are for a family that searches with BM25. `vectors` are there where
    the documents keep those of the base.
    """

    config: TrainConfig
    base: Path
    device: str
    training_set: TrainingSet
    development: DevelopmentSet
    prepare: Path
    cache: Path
    taught: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    vectors: BaseVectors | None = None


class Meter:
    """Progress in units of one document through the model, so that training and evaluations share one bar."""

    def __init__(self, tick: Callable[..., None], total: int) -> None:
        """`tick(done, total, message, **metrics)` as StageContext.tick; it may raise Cancelled."""
        self._tick = tick
        self._total = total
        self._done = 0

    def advance(self, documents: int, message: str, **metrics: float) -> None:
        """Report that so many more documents went through."""
        self.skip(documents)
        self._tick(self._done, self._total, message, **metrics)

    def skip(self, documents: int) -> None:
        """Count work that needed no doing."""
        self._done = min(self._done + documents, self._total)


class Learner(Protocol):
    """A retriever that can be trained. Its module is in evaluation mode between the calls."""

    @property
    def module(self) -> torch.nn.Module:
        """What is trained, save for its frozen parameters; `pace.set_pace` lets some learn faster than others."""

    @property
    def evaluation_size(self) -> int:
        """Documents that one evaluation puts through the model."""

    @property
    def room(self) -> Room:
        """How much of a batch has its activations in memory; a checkpoint keeps it."""

    def learn(self, batch: Batch) -> float:
        """Add the gradient of a batch's loss to that of the module, in training mode, and return the loss."""

    def score(self, meter: Meter) -> float:
        """nDCG@10 on the held-out queries."""

    def save(self, folder: Path) -> None:
        """Write the model in the format it is loaded from. The learner is not used after."""
