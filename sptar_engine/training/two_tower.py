"""Families that encode queries and documents apart from each other and compare what comes out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from sptar_engine.retrieval.kinds import DOCUMENT as DOCUMENT
from sptar_engine.retrieval.kinds import QUERY as QUERY
from sptar_engine.training.batches import Batch
from sptar_engine.training.cached_gradients import Room, accumulate
from sptar_engine.training.candidates import Candidates, gather_candidates
from sptar_engine.training.distillation import distillation_loss
from sptar_engine.training.learner import Lesson
from sptar_engine.training.losses import contrastive_loss

Encoded = TypeVar("Encoded")
"""What some texts become, in their order: a matrix with a row each, or a matrix each."""


@dataclass(frozen=True, slots=True)
class Part:
    """Texts that pass the encoder together: their places among the texts of a side, and the pass.

    The pass returns `counts` rows of each text in turn.
    """

    places: Sequence[int]
    counts: Sequence[int]
    encode: Callable[[], Tensor]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Scaled similarities of all queries with all documents, (queries, documents), in logits.

    `shorter` are the same from shortened vectors; `penalty` is what the family adds to the loss.
    """

    scores: Tensor
    shorter: Sequence[Tensor] = ()
    penalty: Tensor | float = 0.0


class TwoTower(ABC, Generic[Encoded]):
    """The training half of a Learner. The loss is

        (1 - teacher_weight) · contrastive + teacher_weight · distillation + penalty

    with the contrastive loss summed over the full and the shorter vectors; without a teacher it counts whole.
    """

    def __init__(self, module: nn.Module, lesson: Lesson) -> None:
        self.module = module
        self._lesson = lesson
        self.room = Room(lesson.config.cached_pairs)

    def learn(self, batch: Batch) -> float:
        """See Learner. Out of memory, it goes on with fewer activations at a time."""
        lesson = self._lesson
        gathered = gather_candidates(batch, lesson.training_set, lesson.taught, lesson.config.multi_positive)
        return self.room.run(partial(self._learn, gathered), self.module, len(batch))

    @abstractmethod
    def cut(self, side: str, keys: Sequence[Hashable], most: int) -> list[Part]:
        """The texts of a side in parts of at most `most` texts each (0 = any)."""

    @abstractmethod
    def join(self, parts: Sequence[Part], encoded: Sequence[Tensor]) -> Encoded:
        """What the parts encoded, in the order of the texts."""

    @abstractmethod
    def compare(self, queries: Encoded, documents: Encoded) -> Comparison:
        """Compare all with all."""

    def _learn(self, gathered: Candidates, held: int) -> float:
        queries = self.cut(QUERY, gathered.queries, held)
        documents = self.cut(DOCUMENT, gathered.documents, held)

        def loss(encoded: list[Tensor]) -> Tensor:
            count = len(queries)
            comparison = self.compare(self.join(queries, encoded[:count]), self.join(documents, encoded[count:]))
            return self._loss(comparison, gathered)

        return accumulate([part.encode for part in (*queries, *documents)], loss, cached=held > 0)

    def _loss(self, comparison: Comparison, gathered: Candidates) -> Tensor:
        config, device = self._lesson.config, comparison.scores.device
        rows, answers, hidden = (table.to(device) for table in (gathered.rows, gathered.answers, gathered.hidden))
        tables = (comparison.scores, *comparison.shorter)
        loss = torch.stack([contrastive_loss(table[rows], answers, hidden) for table in tables]).sum()
        if gathered.is_taught:
            student = comparison.scores[rows][:, gathered.columns.to(device)]
            taught = distillation_loss(config.teacher_loss, student, gathered.taught.to(device))
            loss = (1 - config.teacher_weight) * loss + config.teacher_weight * taught
        return loss + comparison.penalty


def join_rows(parts: Sequence[Part], encoded: Sequence[Tensor]) -> Tensor:
    """Parts with one row for each text as (texts, …) in the order of the texts."""
    joined = torch.cat(list(encoded))
    places = torch.tensor([place for part in parts for place in part.places], device=joined.device)
    return joined[places.argsort()]


def join_matrices(parts: Sequence[Part], encoded: Sequence[Tensor]) -> list[Tensor]:
    """Parts with any number of rows for each text as a matrix each, in the order of the texts."""
    matrices = [
        matrix for part, rows in zip(parts, encoded, strict=True) for matrix in torch.split(rows, list(part.counts))
    ]
    places = [place for part in parts for place in part.places]
    return [matrix for _, matrix in sorted(zip(places, matrices, strict=True), key=lambda pair: pair[0])]
