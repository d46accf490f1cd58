"""Parameters that learn faster than the rest: new layers and low-rank adapters take larger steps than old weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn

_ATTRIBUTE = "pace"


def set_pace(parameters: Iterable[nn.Parameter], factor: float) -> None:
    """Let these parameters learn at so many times `train.learning_rate`."""
    for parameter in parameters:
        setattr(parameter, _ATTRIBUTE, factor)


def parameter_groups(module: nn.Module) -> list[dict[str, Any]]:
    """What is trained of a module, for an optimizer: a group for each pace, under `pace`, rising."""
    groups: dict[float, list[nn.Parameter]] = {}
    for parameter in module.parameters():
        if parameter.requires_grad:
            groups.setdefault(float(getattr(parameter, _ATTRIBUTE, 1.0)), []).append(parameter)
    return [{"params": groups[pace], _ATTRIBUTE: pace} for pace in sorted(groups)]
