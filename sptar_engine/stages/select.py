"""select: choose the example pairs that stand before a document, by held-out perplexity.

The paper chooses them so (arXiv 2307.08303, section 3, "soft prompt filter"); its code leaves the search out. With a
style of queries asked for, the examples are of that style, and so are the held-out queries where there are any.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

import torch

from sptar_engine.artifacts import content_hash, sha256_file, write_jsonl
from sptar_engine.catalog import LANGUAGE_MODEL, describe, language_model_folder
from sptar_engine.configs import SelectConfig
from sptar_engine.data.corpus import CORPUS_FILE
from sptar_engine.data.query_styles import by_style
from sptar_engine.data.seeds import read_seeds, seeds_path
from sptar_engine.errors import ConfigError, InputError, StageError
from sptar_engine.prompting.example_sets import Seeds, style_sets
from sptar_engine.prompting.prompts import adapter_folder, make_prompt, virtual_tokens, write_prompt
from sptar_engine.prompting.scoring import Item, mean_loss, perplexity, query_losses
from sptar_engine.prompting.soft_prompt import LanguageModel, load_language_model, prefix
from sptar_engine.prompting.template import PromptTokens
from sptar_engine.prompting.window import check_window
from sptar_engine.records import Prompt
from sptar_engine.runtime import prepare_torch
from sptar_engine.stage import StageContext, StageOutput
from sptar_engine.training.development import ScoreCache
from sptar_engine.training.prompt_loop import first_items

CANDIDATES_FILE = "candidates.jsonl"
_SCORING = 1  # raise when score() changes, so that losses in caches are not used any more


def run(config: SelectConfig, context: StageContext) -> StageOutput:
    """Score every candidate set, with the soft prompt of the input `tune` if there is one, and keep the best.

    Of each style asked for the best is kept, or the one at the place `select.take`. Raises ConfigError when there are
    fewer train queries than examples, fewer sets than that place, and for a prompt that the model cannot hold,
    InputError without held-out queries and for a style of too few examples.
    """
    prepare, adapter = context.input("prepare"), adapter_folder(context.inputs)
    heldout, seeds = read_seeds(prepare, "dev"), read_seeds(prepare, "train")
    if not heldout:
        raise InputError(f"{prepare} has no held-out queries; choosing example pairs needs some.")
    prompts = [
        make_prompt(examples, adapter, config.instruction, style)
        for style, sets in style_sets(seeds, config).items()
        for examples in sets
    ]
    prepare_torch(config.seed, config.threads)
    folder = language_model_folder(config.model, context.models)
    language_model = load_language_model(folder, config.dtype, context.device)
    tokens = PromptTokens(language_model.tokenizer, config.document_tokens, config.query_tokens)
    items = _items(heldout, prompts, tokens)
    _check_length(language_model, tokens, prompts, items)
    losses: dict[str, float] = {}
    depends_on = _score_key(config, context)
    for done, prompt in enumerate(prompts, 1):
        # In the cache, not in the scratch: the same set is scored once, whatever is taken or how many are tried.
        known = ScoreCache(context.cache, {**depends_on, "prompt": [prompt.prompt_id, prompt.style]})
        loss = known.get()
        if loss is None:
            loss = score(language_model, tokens, prompt, items[prompt.style], config.batch_tokens)
            known.put(loss)
        losses[prompt.prompt_id] = loss
        found = {"perplexity": perplexity(losses[prompt.prompt_id]), "best": perplexity(min(losses.values()))}
        context.tick(done, len(prompts), f"example set {done} of {len(prompts)}", **found)
    ranked = _rank(prompts, losses)
    taken = take(ranked, config.take)
    write_prompt(context.out_dir, *(prompts[0] for prompts in taken.values()))
    _write_table(context.out_dir, ranked, losses)
    return StageOutput({**summarise(taken, losses), **_summarise_styles(taken, seeds, heldout, losses)})


def score(
    language_model: LanguageModel, tokens: PromptTokens, prompt: Prompt, items: Sequence[Item], batch_tokens: int
) -> float:
    """Mean loss of the items' queries behind this prompt, nats per query token. Raises StageError if it is none."""
    before = prefix(language_model, prompt.adapter, tokens.before(prompt))
    loss = mean_loss(query_losses(language_model, before, items, batch_tokens))
    if not math.isfinite(loss):
        raise StageError(
            f"The loss of example set {prompt.prompt_id} is {loss}; select.dtype=float32 keeps it a number."
        )
    return loss


def take(ranked: Mapping[str, Sequence[Prompt]], place: int) -> dict[str, list[Prompt]]:
    """The prompts of each style with the one at a place, counted from 0 for the best, before all others.

    Raises ConfigError when a style has too few: there may be fewer distinct sets than were asked for.
    """
    for prompts in ranked.values():
        if place >= len(prompts):
            raise ConfigError("select.take", f"{place} is beyond the last of {len(prompts)} sets, counted from 0")
    return {
        style: [prompts[place], *(prompt for prompt in prompts if prompt is not prompts[place])]
        for style, prompts in ranked.items()
    }


def summarise(ranked: Mapping[str, Sequence[Prompt]], losses: Mapping[str, float]) -> dict[str, Any]:
    """The numbers of a finished choice, which is the first of each style.

    Of several styles `heldout_perplexity` is the mean of their chosen sets.
    """
    best = [prompts[0] for prompts in ranked.values()]
    values = sorted(perplexity(losses[prompt.prompt_id]) for prompts in ranked.values() for prompt in prompts)
    return {
        "prompt_id": "+".join(prompt.prompt_id for prompt in best),
        "candidates": len(values),
        "heldout_perplexity": fmean(perplexity(losses[prompt.prompt_id]) for prompt in best),
        "median_perplexity": median(values),
        "worst_perplexity": values[-1],
    }


def _score_key(config: SelectConfig, context: StageContext) -> dict[str, Any]:
    """Everything that the loss behind a prompt depends on, to the last digit, the prompt itself excepted."""
    prepare, adapter = context.input("prepare"), adapter_folder(context.inputs)
    files = (prepare / CORPUS_FILE, *(seeds_path(prepare, split) for split in ("train", "dev")))
    model = describe(config.model, LANGUAGE_MODEL, context.models)
    return {
        "files": [sha256_file(path) for path in files],
        "model": [model.name, model.revision],
        "adapter": content_hash(adapter) if adapter else None,
        "settings": [config.dtype, config.document_tokens, config.query_tokens, config.batch_tokens],
        "scoring": _SCORING,
        "machine": [context.device, torch.get_num_threads(), torch.__version__],
    }


def _items(heldout: Seeds, prompts: Sequence[Prompt], tokens: PromptTokens) -> dict[str, list[Item]]:
    """What each style is measured on: the held-out queries of that style; all of them when there is none."""
    styles = {prompt.style: heldout for prompt in prompts}
    own = by_style(heldout) if any(styles) else {}
    return {style: first_items(own.get(style) or everything, tokens) for style, everything in styles.items()}


def _check_length(
    language_model: LanguageModel, tokens: PromptTokens, prompts: Sequence[Prompt], items: Mapping[str, list[Item]]
) -> None:
    """Raise ConfigError when a prompt and what follows it can be longer than what the model looks at."""
    before = max(virtual_tokens(prompt.adapter) + len(tokens.before(prompt)) for prompt in prompts)
    after = max(len(document) + len(query) for found in items.values() for document, query in found)
    option = "select.examples" if max(len(prompt.examples) for prompt in prompts) > 1 else "select.document_tokens"
    check_window(language_model, len(language_model.opening) + before + after, option)


def _rank(prompts: Sequence[Prompt], losses: Mapping[str, float]) -> dict[str, list[Prompt]]:
    """The prompts of each style, best first."""
    ranked: dict[str, list[Prompt]] = {prompt.style: [] for prompt in prompts}
    for prompt in sorted(prompts, key=lambda prompt: (losses[prompt.prompt_id], prompt.prompt_id)):
        ranked[prompt.style].append(prompt)
    return ranked


def _write_table(folder: Path, ranked: Mapping[str, Sequence[Prompt]], losses: Mapping[str, float]) -> None:
    """Write the table of all prompts, each style's ranked by itself."""
    rows = (_row(rank, prompt, losses) for prompts in ranked.values() for rank, prompt in enumerate(prompts, 1))
    write_jsonl(folder / CANDIDATES_FILE, rows)


def _summarise_styles(
    ranked: Mapping[str, Sequence[Prompt]], seeds: Seeds, heldout: Seeds, losses: Mapping[str, float]
) -> dict[str, Any]:
    """Each style's labelled queries, and the set that was chosen for it. Nothing when any style will do."""
    train, dev = by_style(seeds), by_style(heldout)
    styles = {
        style: {
            "train_queries": len(train[style]),
            "heldout_queries": len(dev[style]),
            "prompt_id": prompts[0].prompt_id,
            "examples": len(prompts[0].examples),
            "heldout_perplexity": perplexity(losses[prompts[0].prompt_id]),
        }
        for style, prompts in ranked.items()
        if style
    }
    return {"styles": styles} if styles else {}


def _row(rank: int, prompt: Prompt, losses: Mapping[str, float]) -> dict[str, Any]:
    loss = losses[prompt.prompt_id]
    examples = [{"query_id": pair.query.query_id, "doc_id": pair.document.doc_id} for pair in prompt.examples]
    style = {"style": prompt.style} if prompt.style else {}
    found = {"perplexity": perplexity(loss), "loss": loss, "examples": examples}
    return {"rank": rank, "prompt_id": prompt.prompt_id, **style, **found}
