"""Greedy queries the slow and plain way: one document at a time, no batch, no padding, no attention cache.

What `sptar_engine.prompting.generation` writes is held against this.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from peft import PeftModel
from torch import Tensor
from transformers import DynamicCache

from sptar_engine.prompting.soft_prompt import LanguageModel

NEAR_TIE = 1e-3  # of a logit: closer than this the two best tokens may change places by rounding (issue 2)

EQUAL, TIE, DIFFERENT = "equal", "near tie", "different"


class Reference:
    """A model behind a soft prompt and example tokens; every call runs the whole text anew."""

    def __init__(self, language_model: LanguageModel, soft_prompt: PeftModel | None, examples: Sequence[int]) -> None:
        self._language_model = language_model
        self._soft_prompt = soft_prompt
        opening = [] if soft_prompt else language_model.opening
        self._before = [*opening, *examples]

    def query(self, document: Sequence[int], stops: Collection[int], max_new_tokens: int) -> list[int]:
        """The greedy query of a document, up to and with its stop token."""
        written: list[int] = []
        while len(written) < max_new_tokens and not (written and written[-1] in stops):
            written.append(int(self._logits([*document, *written], 1).argmax()))
        return written

    def judge(
        self, document: Sequence[int], written: Sequence[int], stops: Collection[int], max_new_tokens: int
    ) -> str:
        """EQUAL when `written` is what `query` returns; else TIE or DIFFERENT, by the first token that differs.

        One forward pass is enough: if every token is the likeliest after those before it, the greedy query is
        the same, token by token.
        """
        logits = self._logits([*document, *written[:-1]], len(written))  # (written, vocabulary)
        for token, after in zip(written, logits, strict=True):
            if token != int(after.argmax()):
                best, second = after.topk(2).values.tolist()
                return TIE if best - second <= NEAR_TIE else DIFFERENT
        ended = written[-1] in stops or len(written) == max_new_tokens
        return EQUAL if ended and not any(token in stops for token in written[:-1]) else DIFFERENT

    @torch.inference_mode()
    def _logits(self, tokens: Sequence[int], last: int) -> Tensor:
        """Logits after each of the last tokens, (last, vocabulary)."""
        embeddings = self._language_model.embed([*self._before, *tokens])
        soft = self._soft_prompt.get_prompt(1) if self._soft_prompt else embeddings[:, :0]
        cached = isinstance(soft, DynamicCache)  # prefix tuning learns keys and values, not embeddings
        whole = embeddings if cached else torch.cat([soft.to(embeddings.dtype), embeddings], dim=1)
        output = self._language_model.model(
            inputs_embeds=whole,
            past_key_values=soft if cached else None,
            use_cache=cached,
            logits_to_keep=last,
        )
        logits: Tensor = output.logits[0].float()
        return logits
