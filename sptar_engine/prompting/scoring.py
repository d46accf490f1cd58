"""How likely a language model finds given queries for given documents: the loss of tuning, the measure of select."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from sptar_engine.prompting.soft_prompt import LanguageModel, Prefix

Item = tuple[list[int], list[int]]
"""Token ids of a document with its request, and of the query after it (`PromptTokens.document` and `.query`)."""

_MAX_ROWS = 64  # of a batch: each repeats the prefix's keys and values, 46 kB a token in the bundled model
_PREFIX_TOKENS = 64 * 1024  # of all rows of a batch: 3 GB in the bundled model; eight examples take 1,800 a row
_HEAD_ROWS = 512  # query tokens whose logits are held at a time: 100 MB with 49,152 words


@dataclass(frozen=True, slots=True)
class QueryLoss:
    """Sum of the negative log-likelihoods (nats) of a query's tokens, the ending newline included."""

    total: float
    tokens: int

    @property
    def mean(self) -> float:
        """Nats per token."""
        return self.total / self.tokens


def query_losses(
    language_model: LanguageModel, prefix: Prefix, items: Sequence[Item], batch_tokens: int
) -> list[QueryLoss]:
    """Loss of each item's query given the prefix and its document, in the order of `items`.

    Items are batched by length, `batch_tokens` of documents and queries (padding included) at a time; a result
    does not depend on its batch mates beyond rounding.
    """
    losses: dict[int, QueryLoss] = {}
    with torch.no_grad():
        rows = max(1, min(_MAX_ROWS, _PREFIX_TOKENS // max(1, prefix.length)))
        for batch in length_batches([len(document) + len(query) for document, query in items], batch_tokens, rows):
            values = token_losses(language_model, prefix, [items[index] for index in batch])
            lengths = [len(items[index][1]) for index in batch]
            for index, row in zip(batch, torch.split(values.double(), lengths), strict=True):
                losses[index] = QueryLoss(float(row.sum()), len(row))
    return [losses[index] for index in range(len(items))]


def losses_of_one_document(
    language_model: LanguageModel, prefix: Prefix, document: list[int], queries: Sequence[list[int]], batch_tokens: int
) -> list[QueryLoss]:
    """As `query_losses` for several queries of the same document, which is run once and then stands before each.

    That spares nearly all of the work: a document is some ten times as long as a query.
    """
    # All but its last token, from which a query's first token is predicted.
    start, last = document[:-1], document[-1:]
    with torch.no_grad():
        ids = torch.tensor([start], device=language_model.device)
        output = language_model.model.base_model(input_ids=ids, past_key_values=prefix.repeat(1), use_cache=True)
    before = Prefix(output.past_key_values, prefix.length + len(start))
    return query_losses(language_model, before, [(last, query) for query in queries], batch_tokens)


def mean_loss(losses: Iterable[QueryLoss]) -> float:
    """Nats per query token over all queries; its exponential is the perplexity."""
    known = list(losses)
    return math.fsum(loss.total for loss in known) / sum(loss.tokens for loss in known)


def perplexity(loss: float) -> float:
    """exp(loss), capped where a float ends, so that it can always be written."""
    return math.exp(min(loss, 700.0))


def token_losses(language_model: LanguageModel, prefix: Prefix, items: Sequence[Item]) -> Tensor:
    """Negative log-likelihood of every query token, the items' queries one after another, (query tokens,).

    Gradients reach the prefix when it was made with them.
    """
    rows = [document + query for document, query in items]
    width = max(len(row) for row in rows)
    # Padded on the right with any token: attention is causal, so what stands behind a row's end is not seen by it,
    # and positions count from the prefix. Neither mask nor position ids are needed.
    padded = torch.tensor([row + [0] * (width - len(row)) for row in rows], device=language_model.device)
    body = language_model.model.base_model
    output = body(input_ids=padded, past_key_values=prefix.repeat(len(rows)), use_cache=True)
    hidden = output.last_hidden_state  # (rows, width, dim)
    # A token is predicted from the place before it.
    places = [
        (row, place)
        for row, (document, query) in enumerate(items)
        for place in range(len(document) - 1, len(document) + len(query) - 1)
    ]
    at_row, at_place = torch.tensor(places, device=language_model.device).unbind(1)
    states, words = hidden[at_row, at_place], padded[at_row, at_place + 1]
    blocks = zip(torch.split(states, _HEAD_ROWS), torch.split(words, _HEAD_ROWS), strict=True)
    return torch.cat([cross_entropy(language_model.logits(x), y, reduction="none") for x, y in blocks])


def length_batches(lengths: Sequence[int], batch_tokens: int, rows: int = _MAX_ROWS) -> list[list[int]]:
    """Positions of items of like length, longest batch first (so that too little memory shows at once).

    A batch has at most `rows`, and these times its longest length stay within `batch_tokens`; a longer item is a
    batch of its own.
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda index: (-lengths[index], index)):
        batch = batches[-1] if batches else []
        room = batch and (len(batch) + 1) * lengths[batch[0]] <= batch_tokens and len(batch) < rows
        if room:
            batch.append(index)
        else:
            batches.append([index])
    return batches
