"""Writes queries for documents in batches, each query as if its document stood alone.

The prefix (soft prompt and examples) is computed once for all batches, so only document tokens are run. The
documents of a batch are run in groups of like length; then they write their queries together, a token a step, and
each leaves with its newline. No text sees another or any padding, and positions count a text's own tokens only.
PEFT's `generate` counts padding too: tests/engine/prompting/test_peft_generate_table.py shows what comes of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache

from sptar_engine.errors import StageError
from sptar_engine.prompting.decoding import Decoding, stop_tokens
from sptar_engine.prompting.row_cache import RowCache
from sptar_engine.prompting.soft_prompt import LanguageModel, Prefix

_CACHE_FACTOR = 8  # cached positions per `batch_tokens`: 1.5 GB at 4,096 with the bundled model
_LIKE_LENGTH = 0.85  # shortest document of a group as a share of its longest: little padding, few small groups


@dataclass(frozen=True, slots=True)
class Request:
    """A document that queries are written for: the tokens of its prompt, and one seed for each query.

    Greedy decoding does not look at the seed.
    """

    doc_id: str
    tokens: Sequence[int]
    seeds: tuple[int, ...] = (0,)


@dataclass(frozen=True, slots=True)
class Written:
    """A query as it was written: its token ids, the stop token included.

    `loss` is the mean negative log-likelihood of these tokens in nats, as the model's own distribution has them:
    without temperature or top_p, so that it can be compared across settings of the decoding.
    """

    tokens: list[int]
    loss: float


@dataclass(frozen=True, slots=True)
class RawQuery:
    """The text of a written query, with its newline, and its loss (`Written`)."""

    text: str
    loss: float


def write_queries(
    language_model: LanguageModel, prefix: Prefix, requests: Sequence[Request], decoding: Decoding, batch_tokens: int
) -> Iterator[Mapping[str, list[RawQuery]]]:
    """Yield, batch by batch, the raw queries by document id, as many as each request has seeds (all equally many).

    A raw query ends with its newline, or without one when `max_new_tokens` was reached. `batch_tokens` bounds the
    document tokens that are run at a time, padding included, and through a factor the cache. The longest documents
    come first, so that too little GPU memory shows at once; batches are then halved. Raises StageError when a
    single document is too much, or when the model's numbers overflow.
    """
    ordered = sorted(requests, key=lambda request: (-len(request.tokens), request.doc_id))
    start, most = 0, len(ordered)
    while start < len(ordered):
        longest = ordered[start]
        positions = len(longest.seeds) * (prefix.length + len(longest.tokens) + decoding.max_new_tokens)
        fitting = max(1, _CACHE_FACTOR * batch_tokens // positions)
        batch = ordered[start : start + min(most, fitting)]
        try:
            written = decode_batch(language_model, prefix, batch, decoding, batch_tokens)
        except torch.OutOfMemoryError as error:
            if len(batch) == 1:
                raise StageError(
                    f"The GPU has too little memory for the document {longest.doc_id!r} alone; "
                    "lower generate.queries or generate.document_tokens."
                ) from error
            most = len(batch) // 2
            continue
        texts = language_model.tokenizer.batch_decode([one.tokens for one in written], skip_special_tokens=True)
        queries = iter([RawQuery(text, one.loss) for text, one in zip(texts, written, strict=True)])
        yield {request.doc_id: [next(queries) for _ in request.seeds] for request in batch}
        start += len(batch)


@torch.inference_mode()
def decode_batch(
    language_model: LanguageModel, prefix: Prefix, requests: Sequence[Request], decoding: Decoding, batch_tokens: int
) -> list[Written]:
    """Every query up to and with its stop token, the requests' queries one after another.

    `requests` stand longest first. Raises StageError when the model's numbers overflow.
    """
    stops = stop_tokens(language_model.tokenizer)
    rows = _Rows(language_model, prefix, requests, decoding.max_new_tokens, batch_tokens)
    uniforms = decoding.uniforms([seed for request in requests for seed in request.seeds]).to(language_model.device)
    written: list[list[int]] = [[] for _ in uniforms]
    losses = torch.zeros(len(written), dtype=torch.float64, device=language_model.device)
    alive = list(range(len(written)))  # which query each row writes
    for step in range(decoding.max_new_tokens):
        chosen = decoding.choose(rows.logits, uniforms[alive, step])
        losses[alive] += _surprise(rows.logits, chosen)
        for query, token in zip(alive, chosen.tolist(), strict=True):
            written[query].append(token)
        going = [row for row, query in enumerate(alive) if written[query][-1] not in stops]
        if not going or step + 1 == decoding.max_new_tokens:
            break
        if len(going) < len(alive):
            order = _close_gaps(going)
            rows.keep(order)
            alive, chosen = [alive[row] for row in order], chosen[order]
        rows.step(chosen)
    _check_finite(language_model, losses)
    return [Written(tokens, loss / len(tokens)) for tokens, loss in zip(written, losses.tolist(), strict=True)]


class _Rows:
    """The texts of a batch after their documents, one row for each query; they grow by a token a step.

    Columns: [prefix and document][gap, up to the longest document][query]. The gap is masked. `logits`,
    (rows, vocabulary), are those of every row's next token.
    """

    def __init__(
        self, language_model: LanguageModel, prefix: Prefix, requests: Sequence[Request], steps: int, batch_tokens: int
    ) -> None:
        self._language_model = language_model
        queries = len(requests[0].seeds)
        self._columns = prefix.length + len(requests[0].tokens)
        self._cache = RowCache(len(requests) * queries, self._columns, steps)
        logits, row = [], 0
        for group in _groups(requests, batch_tokens):
            states, after = _run_documents(language_model, prefix, group)
            self._cache.fill(row, states, queries)
            logits.append(after.repeat_interleave(queries, dim=0))
            row += len(group) * queries
        self.logits = torch.cat(logits)
        ends = [prefix.length + len(request.tokens) for request in requests for _ in request.seeds]
        self._positions = torch.tensor(ends, device=language_model.device)  # (rows,) of the next token
        columns = torch.arange(self._columns + steps, device=language_model.device)
        self._mask = ((columns < self._positions[:, None]) | (columns >= self._columns)).long()  # (rows, columns)

    def keep(self, order: list[int]) -> None:
        """Let row i become what row `order[i]` is now, and drop the others. `logits` are stale until the next step."""
        self._cache.keep(order)
        self._mask, self._positions = self._mask[order], self._positions[order]

    def step(self, tokens: Tensor) -> None:
        """Append one token to each row, (rows,)."""
        self._columns += 1
        output = self._language_model.model.base_model(
            input_ids=tokens[:, None],
            attention_mask=self._mask[:, : self._columns],
            position_ids=self._positions[:, None],
            past_key_values=self._cache,
            use_cache=True,
        )
        self._positions = self._positions + 1
        self.logits = self._language_model.logits(output.last_hidden_state[:, 0])


def _run_documents(
    language_model: LanguageModel, prefix: Prefix, group: Sequence[Request]
) -> tuple[DynamicCache, Tensor]:
    """States of prefix and documents, and the logits after each document, (rows, vocabulary)."""
    width = len(group[0].tokens)
    # Padded on the right with any token: attention is causal and positions count from the prefix, so neither a mask
    # nor position ids are needed, as in scoring.token_losses.
    padded = [[*request.tokens, *[0] * (width - len(request.tokens))] for request in group]
    output = language_model.model.base_model(
        input_ids=torch.tensor(padded, device=language_model.device),
        past_key_values=prefix.repeat(len(group)),
        use_cache=True,
    )
    lasts = [len(request.tokens) - 1 for request in group]
    logits = language_model.logits(output.last_hidden_state[range(len(group)), lasts])
    _check_finite(language_model, logits)
    return output.past_key_values, logits


def _surprise(logits: Tensor, chosen: Tensor) -> Tensor:
    """Negative log-likelihood in nats of each row's chosen token, (rows,), float64."""
    taken = logits.gather(-1, chosen[:, None])[:, 0]
    return (logits.logsumexp(-1) - taken).double()


def _check_finite(language_model: LanguageModel, numbers: Tensor) -> None:
    if not bool(numbers.isfinite().all()):
        kind = str(language_model.model.dtype).removeprefix("torch.")
        raise StageError(f"The language model's numbers overflow in {kind}; set generate.dtype=float32.")


def _groups(requests: Sequence[Request], batch_tokens: int) -> Iterator[Sequence[Request]]:
    """Split requests, longest first, into groups of like length of up to `batch_tokens`, padding included."""
    start = 0
    for end in range(1, len(requests) + 1):
        longest = len(requests[start].tokens)
        full = (end + 1 - start) * longest > batch_tokens
        if end == len(requests) or full or len(requests[end].tokens) < _LIKE_LENGTH * longest:
            yield requests[start:end]
            start = end


def _close_gaps(rows: Sequence[int]) -> list[int]:
    """The same rows in an order that moves few: those beyond the new end fill the gaps, the others stay."""
    count = len(rows)
    beyond = iter([row for row in rows if row >= count])
    within = {row for row in rows if row < count}
    return [row if row in within else next(beyond) for row in range(count)]
