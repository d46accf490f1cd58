"""The gradient of a loss over a large batch in little memory (GradCache, arXiv 2101.06983), and what to do without any.

A contrastive loss needs the vectors of the whole batch at once, but not the activations that they came from. So the
texts pass the encoder twice: first for the vectors alone, from which comes the gradient of each vector, then part by
part with the activations, which carry that gradient on. About 20 % slower; the gradient is the same.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sptar_engine.errors import StageError

_log = logging.getLogger(__name__)

Encode = Callable[[], Tensor]
"""Put some texts through an encoder; called a second time it gives the same from the same random state."""

_CPU_MESSAGES = ("can't allocate memory", "not enough memory")  # torch raises a plain RuntimeError there


def accumulate(parts: Sequence[Encode], loss: Callable[[list[Tensor]], Tensor], cached: bool) -> float:
    """Add the gradient of `loss` over what the parts encode, and return the loss.

    `cached` holds the activations of one part at a time, else all are held. `loss` may have parameters of its own.
    """
    if not cached:
        value = loss([encode() for encode in parts])
        _backward(value)
        return value.item()
    states, leaves = [], []
    with torch.no_grad():
        for encode in parts:
            states.append(_random_state())
            leaves.append(encode().requires_grad_())
    value = loss(leaves)
    _backward(value)
    for encode, state, leaf in zip(parts, states, leaves, strict=True):
        _set_random_state(state)  # so that dropout spares the same units as the first time
        assert leaf.grad is not None, "every text of a batch has a part in its loss"
        encoded = encode()
        if encoded.requires_grad:  # not the vectors of an encoder that stands still
            torch.autograd.backward([encoded], [leaf.grad])
    return value.item()


@dataclass(slots=True)
class Room:
    """How many texts have their activations in memory at a time; 0 = all of a batch. It shrinks, and stays small."""

    held: int

    def run(self, attempt: Callable[[int], float], module: nn.Module, pairs: int) -> float:
        """Return `attempt(held)`; out of memory, drop its gradients, halve `held` and try again.

        `attempt` starts each time from the same random state, so the result is that of a first try with enough
        memory, up to rounding and what dropout draws. Raises StageError when one text at a time is too much.
        """
        state = _random_state()
        while True:
            try:
                return attempt(self.held)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            # Out of the except clause, where the error still holds the tensors of the attempt.
            held = min(self.held or pairs, pairs)
            if held == 1:
                raise StageError(
                    "There is not enough memory to train on even one pair at a time; a smaller train.max_length or a "
                    "smaller train.base needs less."
                )
            self.held = (held + 1) // 2
            _log.warning("Not enough memory for %d pairs at a time; the training goes on with %d.", held, self.held)
            module.zero_grad()
            _set_random_state(state)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


def is_out_of_memory(error: Exception) -> bool:
    """Whether a lack of memory raised this error, on an accelerator or on the CPU."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _CPU_MESSAGES)


def _backward(value: Tensor) -> None:
    value.backward()  # type: ignore[no-untyped-call]  # torch leaves this one without types


def _random_state() -> list[Tensor]:
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if torch.cuda.is_available() else ())]


def _set_random_state(state: list[Tensor]) -> None:
    torch.set_rng_state(state[0])
    if len(state) > 1:
        torch.cuda.set_rng_state_all(state[1:])
