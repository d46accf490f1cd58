"""Texts turned into token ids once and put through an encoder in batches of like length."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from sentence_transformers.base import BaseModel
from torch import Tensor

from sptar_engine.retrieval.chunks import chunk_by_length as chunk_by_length

TokenIds = np.ndarray[tuple[int], np.dtype[np.int32]]
Features = dict[str, Tensor]

_TEXTS = 1024  # tokenised in one call: enough to keep the tokeniser's threads busy, little memory
# Padded tokens in one forward pass. On a CPU small passes cost nothing and save padding; a GPU wants large ones.
_CHUNK_TOKENS = {"cpu": 2048}
_CHUNK_TOKENS_ACCELERATOR = 65_536


class TokenisedTexts:
    """Texts by a key of any kind as token ids, cut at the model's `max_seq_length`, special tokens included.

    A training reads each text in every epoch and every dev evaluation reads the whole corpus again; on a GPU
    tokenising costs as much as encoding. Four bytes a token are held.
    """

    def __init__(self, model: BaseModel, texts: Mapping[Any, str]) -> None:
        self._ids: dict[Hashable, TokenIds] = {}
        waiting = iter(texts.items())
        while block := list(islice(waiting, _TEXTS)):
            rows = model.tokenizer(
                [text for _, text in block], truncation=True, padding=False, max_length=model.max_seq_length
            )["input_ids"]
            self._ids.update((key, np.array(row, np.int32)) for (key, _), row in zip(block, rows, strict=True))

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, key: Hashable) -> TokenIds:
        return self._ids[key]

    def rows(self, keys: Sequence[Hashable]) -> list[TokenIds]:
        """Token ids of some texts."""
        return [self._ids[key] for key in keys]


def pad(model: BaseModel, rows: Sequence[TokenIds]) -> Features:
    """What an encoder takes in: `input_ids` and `attention_mask`, each (rows, tokens), on the model's device."""
    width = max(len(row) for row in rows)
    ids = np.full((len(rows), width), model.tokenizer.pad_token_id or 0, np.int64)
    mask = np.zeros_like(ids)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = row
        mask[place, : len(row)] = 1
    features = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
    return {name: value.to(model.device) for name, value in features.items()}


def chunk_for(model: BaseModel, rows: Sequence[TokenIds], most: int = 0) -> list[list[int]]:
    """The places of the rows in groups of like length, each for one forward pass, of `most` rows at most (0 = any).

    To pass in groups spares most of the padding and changes nothing else: what a row is padded with is masked.
    """
    budget = _CHUNK_TOKENS.get(model.device.type, _CHUNK_TOKENS_ACCELERATOR)
    return chunk_by_length([len(row) for row in rows], budget, most)
