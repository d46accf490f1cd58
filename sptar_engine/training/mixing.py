"""Mixtures of trained and untrained weights (WiSE-FT, arXiv 2109.01903): most of the gain, less forgetting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sptar_engine.training.learner import Learner, Meter
from sptar_engine.training.lora import load_plain_weights

Weights = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Mixture:
    """The chosen share of trained weights, 0 being the untrained model, and the dev score of every share tried."""

    share: float
    scores: Mapping[float, float]


def mix(trained: Weights, base: Weights, share: float) -> dict[str, Tensor]:
    """`share · trained + (1 - share) · base`, entry by entry; exactly `base` at 0 and `trained` at 1.

    Entries that are no floating-point numbers (position ids) do not change in training and are taken from `base`.
    """
    return {
        name: torch.lerp(value, trained[name].to(value.device), share) if value.is_floating_point() else value
        for name, value in base.items()
    }


def choose_mixture(
    learner: Learner,
    base: Weights,
    trained: Weights,
    known: Mapping[float, float],
    shares: Sequence[float],
    meter: Meter,
) -> Mixture:
    """Measure every share and leave the learner with the weights of the best one; of equals, the least trained.

    `base` and `trained` are plain weights (`lora.plain_weights`). `known` has the dev scores of shares that need no
    measuring: 0, the untrained model, and 1.
    """
    scores = {0.0: known[0.0]}
    for share in sorted(shares):
        if share in known:
            scores[share] = known[share]
            continue
        load_plain_weights(learner.module, mix(trained, base, share))
        scores[share] = learner.score(meter)
    best = max(scores, key=lambda share: (scores[share], -share))
    load_plain_weights(learner.module, mix(trained, base, best))
    return Mixture(best, scores)
