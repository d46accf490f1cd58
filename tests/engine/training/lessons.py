"""A lesson of three pairs for the tests of families of retrievers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from sptar_engine.configs import TrainConfig
from sptar_engine.records import Qrels
from sptar_engine.training.development import DevelopmentSet
from sptar_engine.training.learner import Learner, Lesson, Meter
from sptar_engine.training.pairs import TrainingPair, TrainingSet

DOCUMENTS = {
    1: "The sparrow is a bird that people know from the harbour.",
    2: "The hammer is a tool, easy to carry.",
    3: "The copper is a metal of the old library, covered in dust, long and narrow.",
    4: "The pulsar is a star.",
}
QUERIES = {1: "where is the sparrow", 2: "easy tool hammer", 3: "which metal is covered in dust"}
PAIRS = tuple(TrainingPair(f"p{n}", "seed", text, f"d{n}", text, n) for n, text in QUERIES.items())
DEVELOPMENT = DevelopmentSet(
    {f"q{n}": text for n, text in QUERIES.items()},
    Qrels({f"q{n}": {f"d{n}": 1} for n in QUERIES}),
    {f"d{n}": text for n, text in DOCUMENTS.items()} | {"twin": DOCUMENTS[4]},
)


def make_lesson(
    base: Path,
    negatives: Mapping[str, tuple[int, ...]] | None = None,
    taught: Mapping[str, Mapping[int, float]] | None = None,
    known: Mapping[str, set[int]] | None = None,
    pairs: tuple[TrainingPair, ...] = PAIRS,
    **settings: Any,
) -> Lesson:
    """`known` are further answers by query; `settings` are of the stage train."""
    positives: dict[str, set[int]] = {}
    for pair in pairs:
        positives.setdefault(pair.query_key, set((known or {}).get(pair.query_key, ()))).add(pair.document_key)
    training_set = TrainingSet(pairs, DOCUMENTS, positives, negatives=negatives or {})
    config = TrainConfig(base=str(base), max_length=64, **settings)
    return Lesson(config, base, "cpu", training_set, DEVELOPMENT, base, base, taught or {})


def no_dropout(learner: Learner) -> None:
    """So that passes of other groups of texts give the same."""
    for module in learner.module.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0


def gradients(learner: Learner) -> dict[str, torch.Tensor]:
    """What `learn` has added up, of the parameters that took part."""
    named = learner.module.named_parameters()
    return {name: value.grad.clone() for name, value in named if value.grad is not None}


def learn(learner: Learner, batch: Any = PAIRS, seed: int = 0) -> tuple[float, dict[str, torch.Tensor]]:
    """Loss and gradients of one batch, in training mode."""
    torch.manual_seed(seed)
    learner.module.train()
    learner.module.zero_grad()
    loss = learner.learn(batch)
    learner.module.eval()
    return loss, gradients(learner)


def silent() -> Meter:
    """A meter that nobody reads."""
    return Meter(lambda *_, **__: None, 1000)
