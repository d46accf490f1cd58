"""Batched scoring behind a shared prefix gives what one item at a time without any cache gives."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import PeftModel

from sptar_engine.prompting.scoring import (
    Item,
    QueryLoss,
    length_batches,
    losses_of_one_document,
    mean_loss,
    perplexity,
    query_losses,
)
from sptar_engine.prompting.soft_prompt import (
    LanguageModel,
    build_soft_prompt,
    load_language_model,
    prefix,
    save_soft_prompt,
)
from sptar_engine.prompting.template import PromptTokens
from sptar_engine.records import Document, Query, SeedPair

TEXTS = [
    ("the heron waits beside the water for a fish", "what does a heron wait for?"),
    ("a drill turns", "how does a drill work"),
    ("", "an empty document"),
    ("the mill grinds grain between two stones that a wheel drives, and the wheel is driven by water " * 3, "mill"),
    ("a drill turns", "how does a drill work"),
]
EXAMPLE = SeedPair(Query("q", "what turns"), Document("d", "a wheel turns in the stream"))
Reference = Callable[[list[int]], torch.Tensor]


def _items(language_model: LanguageModel) -> list[Item]:
    tokens = PromptTokens(language_model.tokenizer, 64, 16)
    return [(tokens.document(Document("d", text)), tokens.query(query)) for text, query in TEXTS]


def _adapter(language_model: LanguageModel, method: str, folder: Path) -> Path:
    peft_model = build_soft_prompt(
        language_model, method=method, virtual_tokens=8, init_text="the heron waits", base_name="tiny", seed=13
    )
    save_soft_prompt(peft_model, folder)
    return folder


def _one_by_one(logits: Reference, examples: list[int], items: list[Item]) -> list[float]:
    """Mean loss of each query from the logits of its whole text, (tokens, vocabulary)."""
    losses = []
    for document, query in items:
        whole = logits([*examples, *document, *query])
        chances = whole[-len(query) - 1 : -1].log_softmax(-1)
        losses.append(-float(chances[torch.arange(len(query)), torch.tensor(query)].mean()))
    return losses


@pytest.fixture(params=["tiny_llm", "tiny_gpt2"])
def language_model(request: pytest.FixtureRequest) -> LanguageModel:
    return load_language_model(request.getfixturevalue(request.param), "float32", "cpu")


@pytest.mark.parametrize("batch_tokens", [64, 200, 4096])
def test_hard_prompt_scores_as_one_at_a_time(language_model: LanguageModel, batch_tokens: int) -> None:
    items = _items(language_model)
    examples = PromptTokens(language_model.tokenizer, 64, 16).examples([EXAMPLE])

    @torch.no_grad()
    def logits(ids: list[int]) -> torch.Tensor:
        return language_model.model(torch.tensor([ids])).logits[0]

    ours = query_losses(language_model, prefix(language_model, None, examples), items, batch_tokens)
    assert [loss.mean for loss in ours] == pytest.approx(_one_by_one(logits, examples, items), abs=1e-4)
    assert [loss.tokens for loss in ours] == [len(query) for _, query in items]


@pytest.mark.parametrize("method", ["prompt_tuning", "prefix_tuning", "p_tuning"])
def test_soft_prompt_scores_as_peft_one_at_a_time(language_model: LanguageModel, tmp_path: Path, method: str) -> None:
    items = _items(language_model)
    examples = PromptTokens(language_model.tokenizer, 64, 16).examples([EXAMPLE])
    adapter = _adapter(language_model, method, tmp_path)
    ours = query_losses(language_model, prefix(language_model, adapter, examples), items, 4096)
    peft_model = PeftModel.from_pretrained(language_model.model, str(adapter))

    @torch.no_grad()
    def logits(ids: list[int]) -> torch.Tensor:
        return peft_model(input_ids=torch.tensor([ids])).logits[0]

    assert [loss.mean for loss in ours] == pytest.approx(_one_by_one(logits, examples, items), abs=1e-4)


def test_equal_items_score_equally_in_any_batch(language_model: LanguageModel) -> None:
    losses = query_losses(language_model, prefix(language_model, None, []), _items(language_model), 64)
    assert losses[1].total == pytest.approx(losses[4].total, abs=1e-5)


@pytest.mark.bundled
def test_bundled_model_scores_as_peft_one_at_a_time(bundled_llm: Path, tmp_path: Path) -> None:
    language_model = load_language_model(bundled_llm, "float32", "cpu")
    items = _items(language_model)[:3]
    adapter = _adapter(language_model, "prompt_tuning", tmp_path)
    ours = query_losses(language_model, prefix(language_model, adapter, []), items, 4096)
    peft_model = PeftModel.from_pretrained(language_model.model, str(adapter))

    @torch.no_grad()
    def logits(ids: list[int]) -> torch.Tensor:
        return peft_model(input_ids=torch.tensor([ids])).logits[0]

    assert [loss.mean for loss in ours] == pytest.approx(_one_by_one(logits, [], items), abs=1e-4)


def test_batches_hold_like_lengths_within_the_budget() -> None:
    # 9: 2 x 9 > 12. 6 and 5: 2 x 6 = 12. 4, 3, 2: 3 x 4 = 12.
    assert length_batches([5, 9, 2, 6, 3, 4], 12) == [[1], [3, 0], [5, 4, 2]]


def test_item_longer_than_the_budget_is_a_batch_of_its_own() -> None:
    assert length_batches([20, 1, 30], 10) == [[2], [0], [1]]


def test_batch_has_a_largest_number_of_rows() -> None:
    assert [len(batch) for batch in length_batches([1] * 100, 10_000)] == [64, 36]


def test_no_items_are_no_batches() -> None:
    assert length_batches([], 10) == []


def test_mean_loss_weighs_by_tokens() -> None:
    # (2 + 4 nats) / (1 + 3 tokens)
    assert mean_loss([QueryLoss(2.0, 1), QueryLoss(4.0, 3)]) == 1.5


def test_perplexity_is_the_exponential_and_always_finite() -> None:
    assert perplexity(math.log(40)) == pytest.approx(40)
    assert math.isfinite(perplexity(1e9))


@pytest.mark.parametrize("soft", [False, True])
def test_queries_of_one_document_score_as_each_by_itself(
    language_model: LanguageModel, tmp_path: Path, soft: bool
) -> None:
    tokens = PromptTokens(language_model.tokenizer, 64, 16)
    adapter = _adapter(language_model, "prompt_tuning", tmp_path) if soft else None
    before = prefix(language_model, adapter, tokens.examples([EXAMPLE]))
    queries = [tokens.query(query) for _, query in TEXTS]
    for text, _ in TEXTS[1:4]:  # the shortest, an empty and the longest one
        document = tokens.document(Document("d", text))
        apart = query_losses(language_model, before, [(document, query) for query in queries], 4096)
        together = losses_of_one_document(language_model, before, document, queries, 64)
        assert [loss.mean for loss in together] == pytest.approx([loss.mean for loss in apart], abs=1e-5)
        assert [loss.tokens for loss in together] == [len(query) for query in queries]
