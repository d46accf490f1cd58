"""select: choose the example pairs that stand before a document, by held-out perplexity.

The paper chooses them so (arXiv 2307.08303, section 3, "soft prompt filter"); its code leaves the search out.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from sptar_engine.artifacts import read_json, write_json, write_jsonl
from sptar_engine.catalog import language_model_folder
from sptar_engine.configs import SelectConfig
from sptar_engine.data.seeds import read_seeds
from sptar_engine.errors import ConfigError, InputError, StageError
from sptar_engine.prompting.prompts import adapter_folder, make_prompt, write_prompt
from sptar_engine.prompting.scoring import Item, mean_loss, perplexity, query_losses
from sptar_engine.prompting.soft_prompt import LanguageModel, load_language_model, prefix
from sptar_engine.prompting.template import PromptTokens
from sptar_engine.records import Prompt, SeedPair
from sptar_engine.runtime import prepare_torch
from sptar_engine.stage import StageContext, StageOutput
from sptar_engine.training.prompt_loop import first_items

CANDIDATES_FILE = "candidates.jsonl"

Examples = tuple[SeedPair, ...]


def run(config: SelectConfig, context: StageContext) -> StageOutput:
    """Score every candidate set, with the soft prompt of the input `tune` if there is one, and keep the best.

    Raises ConfigError when there are fewer train queries than examples, InputError without held-out queries.
    """
    prepare, adapter = context.input("prepare"), adapter_folder(context.inputs)
    heldout = read_seeds(prepare, "dev")
    if not heldout:
        raise InputError(f"{prepare} has no held-out queries; choosing example pairs needs some.")
    sets = candidate_sets(read_seeds(prepare, "train"), config.examples, config.candidates, config.seed)
    prompts = [make_prompt(examples, adapter) for examples in sets]
    prepare_torch(config.seed, config.threads)
    folder = language_model_folder(config.model, context.models)
    language_model = load_language_model(folder, config.dtype, context.device)
    tokens = PromptTokens(language_model.tokenizer, config.document_tokens, config.query_tokens)
    items = first_items(heldout, tokens)
    losses: dict[str, float] = {}
    for done, prompt in enumerate(prompts, 1):
        place = context.scratch / f"{prompt.prompt_id}.json"
        if not place.exists():
            write_json(place, score(language_model, tokens, prompt, items, config.batch_tokens))
        losses[prompt.prompt_id] = read_json(place)
        found = {"perplexity": perplexity(losses[prompt.prompt_id]), "best": perplexity(min(losses.values()))}
        context.tick(done, len(prompts), f"example set {done} of {len(prompts)}", **found)
    ranked = sorted(prompts, key=lambda prompt: (losses[prompt.prompt_id], prompt.prompt_id))
    return _write(context.out_dir, ranked, losses)


def score(
    language_model: LanguageModel, tokens: PromptTokens, prompt: Prompt, items: Sequence[Item], batch_tokens: int
) -> float:
    """Mean loss of the items' queries behind this prompt, nats per query token. Raises StageError if it is none."""
    before = prefix(language_model, prompt.adapter, tokens.examples(prompt.examples))
    loss = mean_loss(query_losses(language_model, before, items, batch_tokens))
    if not math.isfinite(loss):
        raise StageError(
            f"The loss of example set {prompt.prompt_id} is {loss}; select.dtype=float32 keeps it a number."
        )
    return loss


def candidate_sets(seeds: Mapping[str, Sequence[SeedPair]], size: int, wanted: int, seed: int) -> list[Examples]:
    """Distinct sets of `size` pairs, each pair of another query, in a random order of their own.

    All there are when these are fewer than `wanted`. They depend on nothing but the arguments, so the arms with
    and without a soft prompt choose among the same. Raises ConfigError when there are fewer queries than `size`.
    """
    if size > len(seeds):
        raise ConfigError("select.examples", f"{size} examples need as many train queries, and there are {len(seeds)}")
    rng = random.Random(seed)
    if _count_sets([len(pairs) for pairs in seeds.values()], size) > 2 * wanted:
        return _draw(seeds, size, wanted, rng)
    every = list(_all_sets(seeds, size))
    return [tuple(rng.sample(examples, size)) for examples in rng.sample(every, min(wanted, len(every)))]


def _draw(seeds: Mapping[str, Sequence[SeedPair]], size: int, wanted: int, rng: random.Random) -> list[Examples]:
    # A query with many documents is drawn no more often than one with few. At least half of all sets are new at any
    # time, so this ends.
    drawn: dict[frozenset[tuple[str, str]], Examples] = {}
    while len(drawn) < wanted:
        examples = tuple(rng.choice(seeds[query_id]) for query_id in rng.sample(list(seeds), size))
        drawn.setdefault(frozenset((pair.query.query_id, pair.document.doc_id) for pair in examples), examples)
    return list(drawn.values())


def _all_sets(seeds: Mapping[str, Sequence[SeedPair]], size: int) -> Iterator[Examples]:
    for query_ids in itertools.combinations(seeds, size):
        yield from itertools.product(*(seeds[query_id] for query_id in query_ids))


def _count_sets(counts: Sequence[int], size: int) -> int:
    """How many sets of `size` pairs of different queries there are, given the pairs of each query."""
    sets = [1] + [0] * size  # by size, over the queries seen so far
    for count in counts:
        sets = [1] + [sets[k] + sets[k - 1] * count for k in range(1, size + 1)]
    return sets[size]


def _write(folder: Path, ranked: Sequence[Prompt], losses: Mapping[str, float]) -> StageOutput:
    write_prompt(folder, ranked[0])
    write_jsonl(folder / CANDIDATES_FILE, (_row(rank, prompt, losses) for rank, prompt in enumerate(ranked, 1)))
    values = [perplexity(losses[prompt.prompt_id]) for prompt in ranked]
    metrics = {
        "prompt_id": ranked[0].prompt_id,
        "candidates": len(ranked),
        "heldout_perplexity": values[0],
        "median_perplexity": median(values),
        "worst_perplexity": values[-1],
    }
    return StageOutput(metrics)


def _row(rank: int, prompt: Prompt, losses: Mapping[str, float]) -> dict[str, Any]:
    loss = losses[prompt.prompt_id]
    examples = [{"query_id": pair.query.query_id, "doc_id": pair.document.doc_id} for pair in prompt.examples]
    found = {"perplexity": perplexity(loss), "loss": loss, "examples": examples}
    return {"rank": rank, "prompt_id": prompt.prompt_id, **found}
