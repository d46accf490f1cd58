"""How the next token is chosen, and which tokens end a query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

_FIRST_LOOK = 256  # likeliest tokens sorted at first; sorting all 49,152 of the bundled model takes ten times as long


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """Settings of a decode: at most `max_new_tokens`; greedy unless a `temperature` is given.

    With a temperature a token is drawn from the smallest set of likeliest tokens whose share reaches `top_p`.
    """

    max_new_tokens: int
    temperature: float | None = None
    top_p: float = 1.0

    def choose(self, logits: Tensor, uniforms: Tensor) -> Tensor:
        """Next token of each row, (rows,), from logits (rows, vocabulary) and one number in [0, 1) each."""
        if self.temperature is None:
            return logits.argmax(dim=-1)
        return _draw(torch.softmax(logits / self.temperature, dim=-1), uniforms, self.top_p)

    def uniforms(self, seeds: Sequence[int]) -> Tensor:
        """A number in [0, 1) for each query and step, (queries, max_new_tokens), float64.

        A query's numbers depend on its seed alone, so a drawn query does not depend on its batch mates either.
        """
        if self.temperature is None:
            return torch.zeros(len(seeds), self.max_new_tokens, dtype=torch.float64)
        generators = (torch.Generator().manual_seed(seed) for seed in seeds)
        size = self.max_new_tokens
        return torch.stack([torch.rand(size, generator=one, dtype=torch.float64) for one in generators])


@lru_cache(maxsize=8)
def stop_tokens(tokenizer: Any) -> frozenset[int]:
    """Ids that end a query: the end-of-text token and every token with a newline in it.

    Issue 2; exact and free, where watching the text for a newline costs a decode per row and step. Takes about
    a second for 100,000 tokens, once per tokenizer.
    """
    texts = tokenizer.batch_decode([[token] for token in range(len(tokenizer))])
    return frozenset(token for token, text in enumerate(texts) if "\n" in text) | {tokenizer.eos_token_id}


def _draw(shares: Tensor, uniforms: Tensor, top_p: float) -> Tensor:
    # shares: (rows, vocabulary), each row sums to 1
    likeliest, ids = shares.topk(min(_FIRST_LOOK, shares.shape[-1]), dim=-1)
    if bool((likeliest.double().sum(-1) < top_p).any()):
        likeliest, ids = shares.sort(dim=-1, descending=True)
    likeliest = likeliest.double()
    before = likeliest.cumsum(-1) - likeliest
    kept = torch.where(before < top_p, likeliest, 0.0)
    reached = kept.cumsum(-1)
    target = uniforms.to(reached) * reached[:, -1]
    place = (reached <= target[:, None]).sum(-1).clamp(max=likeliest.shape[-1] - 1)
    return ids.gather(-1, place[:, None])[:, 0]
