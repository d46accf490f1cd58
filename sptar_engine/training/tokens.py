"""Texts turned into token ids once and put through an encoder in batches of like length."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Generic, TypeVar

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor
from torch.nn import functional

Key = TypeVar("Key", bound=Hashable)
TokenIds = np.ndarray[tuple[int], np.dtype[np.int32]]

_TEXTS = 1024  # tokenised in one call: enough to keep the tokeniser's threads busy, little memory
# Padded tokens in one forward pass. On a CPU small passes cost nothing and save padding; a GPU wants large ones.
_CHUNK_TOKENS = {"cpu": 2048}
_CHUNK_TOKENS_ACCELERATOR = 65_536


class TokenisedTexts(Generic[Key]):
    """Texts by key as token ids, cut at the model's `max_seq_length`, special tokens included.

    A training reads each text in every epoch and every dev evaluation reads the whole corpus again; on a GPU
    tokenising costs as much as encoding. Four bytes a token are held.
    """

    def __init__(self, model: SentenceTransformer, texts: Mapping[Key, str]) -> None:
        self._ids: dict[Key, TokenIds] = {}
        waiting = iter(texts.items())
        while block := list(islice(waiting, _TEXTS)):
            rows = model.tokenizer(
                [text for _, text in block], truncation=True, padding=False, max_length=model.max_seq_length
            )["input_ids"]
            self._ids.update((key, np.array(row, np.int32)) for (key, _), row in zip(block, rows, strict=True))

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, key: Key) -> TokenIds:
        return self._ids[key]

    def rows(self, keys: Sequence[Key]) -> list[TokenIds]:
        """Token ids of some texts."""
        return [self._ids[key] for key in keys]


def embed(model: SentenceTransformer, rows: Sequence[TokenIds]) -> Tensor:
    """Embeddings of length 1 in the order of `rows`: (rows, dimensions), on the model's device.

    Gradients flow where the caller allows them. The rows pass in groups of like length, which spares most of the
    padding and changes nothing else: what a row is padded with is masked.
    """
    chunks = chunk_by_length([len(row) for row in rows], _chunk_tokens(model))
    embedded = torch.cat([embed_chunk(model, [rows[place] for place in chunk]) for chunk in chunks])
    places = torch.tensor([place for chunk in chunks for place in chunk], device=embedded.device)
    return embedded[places.argsort()]


def embed_in_chunks(model: SentenceTransformer, rows: Sequence[TokenIds]) -> Iterator[tuple[list[int], Tensor]]:
    """As `embed`, a group at a time: the places of its rows and their embeddings, longest rows first."""
    for chunk in chunk_by_length([len(row) for row in rows], _chunk_tokens(model)):
        yield chunk, embed_chunk(model, [rows[place] for place in chunk])


def embed_chunk(model: SentenceTransformer, rows: Sequence[TokenIds]) -> Tensor:
    """Embeddings of a few rows in one forward pass: (rows, dimensions)."""
    width = max(len(row) for row in rows)
    ids = np.full((len(rows), width), model.tokenizer.pad_token_id or 0, np.int64)  # (rows, tokens)
    mask = np.zeros_like(ids)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = row
        mask[place, : len(row)] = 1
    features = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
    output = model({name: value.to(model.device) for name, value in features.items()})
    return functional.normalize(output["sentence_embedding"], dim=-1)


def chunk_by_length(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Group the places 0 … n-1 by falling length, each group at most `budget` tokens with its padding.

    Longest first, so that a lack of memory shows at once. A row longer than the budget is a group of its own.
    """
    chunks: list[list[int]] = []
    widest = 0
    for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        if not chunks or (len(chunks[-1]) + 1) * widest > budget:
            chunks.append([])
            widest = lengths[place]
        chunks[-1].append(place)
    return chunks


def _chunk_tokens(model: SentenceTransformer) -> int:
    return _CHUNK_TOKENS.get(model.device.type, _CHUNK_TOKENS_ACCELERATOR)
