"""The mean of a trained module's values over its last steps (Polyak and Juditsky, SIAM J. Control Optim. 30, 1992)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

_WARMING = 9  # steps after which nine tenths are kept at most: the first steps go far, and must not be held back


class Average:
    """An exponential average of a module's values; the module itself trains on as if there were none.

    After each step the average keeps the share `keep` of itself and takes the rest from the module, less in the first
    steps. With `keep` 0 it is the module.
    """

    def __init__(self, module: nn.Module, keep: float) -> None:
        """Start from the values as they are."""
        self._module = module
        self._keep = keep
        self._steps = 0
        self._values = _values(module)

    def step(self) -> None:
        """Take in the values that the last step has left."""
        self._steps += 1
        new = 1 - min(self._keep, (self._steps - 1) / (self._steps + _WARMING))
        self._values = {
            name: torch.lerp(self._values[name], value, new) if value.is_floating_point() else value
            for name, value in _values(self._module).items()
        }

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The module has the average's values inside, and its own again after."""
        own = _values(self._module)
        self._module.load_state_dict(self._values)
        try:
            yield
        finally:
            self._module.load_state_dict(own)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint needs."""
        return {"steps": self._steps, "values": self._values}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._steps, self._values = state["steps"], dict(state["values"])


def _values(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}
