"""generate: let the language model write queries for unlabelled documents, shard by shard.

The documents are the first of the pool, or spread over its topics. Prompts of several styles take turns. Killed at
any point and started again, it loses at most the shard it was writing and repeats none. Batches never span shards,
so the files are byte for byte those of an undisturbed run.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sptar_engine.artifacts import sha256_json, write_jsonl
from sptar_engine.catalog import language_model_folder
from sptar_engine.configs import GenerateConfig
from sptar_engine.data.query_styles import read_style
from sptar_engine.data.seeds import read_pool
from sptar_engine.data.weak import WEAK_FILE
from sptar_engine.errors import InputError
from sptar_engine.prompting.cleanup import EMPTY, REASONS, clean_query, copied_share, count_words, split_words
from sptar_engine.prompting.decoding import Decoding
from sptar_engine.prompting.generation import RawQuery, Request, write_queries
from sptar_engine.prompting.prompts import adapter_folder, read_prompts, virtual_tokens
from sptar_engine.prompting.shards import Draft, ShardFolder, split_shards, weak_id
from sptar_engine.prompting.soft_prompt import LanguageModel, Prefix, load_language_model, prefix
from sptar_engine.prompting.template import PromptTokens
from sptar_engine.prompting.window import check_window
from sptar_engine.records import Document, Prompt
from sptar_engine.retrieval.spread import read_spread
from sptar_engine.runtime import prepare_torch
from sptar_engine.stage import StageContext, StageOutput

DROPPED_FILE = "dropped.jsonl"
_SAMPLES = 3  # queries shown with the result
_LOSS_DIGITS = 4  # behind the point: more would be rounding noise of the batch
_LEAST_DOCUMENT = 16  # tokens, the lowest generate.document_tokens

Turns = Mapping[str, Prompt]
"""By document id the prompt that writes for it."""


def run(config: GenerateConfig, context: StageContext) -> StageOutput:
    """Write weak.jsonl and dropped.jsonl.

    Raises ConfigError for prompts that the model cannot hold, InputError when no document is left to write for.
    """
    prepare = context.input("prepare")
    chosen, topics = read_spread(config, context) if config.choice == "diverse" else (None, 0)
    documents = {one.doc_id: one for one in chosen or read_pool(prepare, config.documents)}
    if not documents:
        raise InputError(f"{prepare} has no unlabelled document to write queries for.")
    prompts = read_prompts(context.input("select"), adapter_folder(context.inputs))
    turns = {doc_id: prompts[place % len(prompts)] for place, doc_id in enumerate(documents)}
    folder = ShardFolder(context.scratch, sha256_json([config.as_dict(), *(prompt.prompt_id for prompt in prompts)]))
    shards = split_shards(list(documents), config.shard_documents)
    missing = [shard for shard in shards if not folder.has(shard)]
    if missing:
        tally = _Tally(context, len(documents), len(documents) - sum(len(shard.doc_ids) for shard in missing))
        writer = _open_writer(config, context, prompts)
        for shard in missing:
            folder.write(shard, writer.write([documents[doc_id] for doc_id in shard.doc_ids], turns, tally.add))
    drafts = [draft for shard in shards for draft in folder.read(shard)]
    write_jsonl(context.out_dir / WEAK_FILE, (_weak_row(one, turns[one.doc_id]) for one in drafts if not one.reason))
    write_jsonl(context.out_dir / DROPPED_FILE, (_dropped_row(one) for one in drafts if one.reason))
    spread = {"topics": topics} if topics else {}
    return StageOutput({**summarise(drafts, documents), **summarise_styles(drafts, turns), **spread})


def summarise(drafts: Sequence[Draft], documents: Mapping[str, Document]) -> dict[str, Any]:
    """The numbers of a finished generation. Shares are of all queries (empty) or of the kept ones."""
    kept = [draft for draft in drafts if not draft.reason]
    dropped = Counter(draft.reason for draft in drafts if draft.reason)
    texts = [" ".join(word.key for word in split_words(draft.query)) for draft in kept]
    copied = (copied_share(draft.query, documents[draft.doc_id].content) for draft in kept)
    per_kept = 1 / max(1, len(kept))
    return {
        "documents": len(documents),
        "queries": len(kept),
        "dropped": {reason: dropped[reason] for reason in REASONS},
        "empty_share": dropped[EMPTY] / max(1, len(drafts)),
        "duplicate_share": 1 - len(set(texts)) * per_kept if kept else 0.0,
        "copy_rate": sum(copied) * per_kept,
        "mean_words": sum(count_words(draft.query) for draft in kept) * per_kept,
        "sample_queries": list(dict.fromkeys(draft.query for draft in kept))[:_SAMPLES],
        "sentence": _sentence(len(documents), len(kept), dropped),
    }


def summarise_styles(drafts: Sequence[Draft], turns: Turns) -> dict[str, Any]:
    """For each style asked for its documents, its kept queries, and how many of these read as that style."""
    documents = Counter(prompt.style for prompt in turns.values() if prompt.style)
    kept = [(turns[draft.doc_id].style, draft.query) for draft in drafts if not draft.reason]
    queries = Counter(style for style, _ in kept)
    as_asked = Counter(style for style, query in kept if read_style(query) == style)
    styles = {
        style: {"documents": documents[style], "queries": queries[style], "as_asked": as_asked[style]}
        for style in documents
    }
    return {"styles": styles} if styles else {}


@dataclass(frozen=True, slots=True)
class _Writer:
    """Everything that a shard needs and that is made once: for each prompt its prefix."""

    language_model: LanguageModel
    prefixes: Sequence[tuple[Prompt, Prefix]]
    tokens: PromptTokens
    config: GenerateConfig

    def write(
        self, documents: Sequence[Document], turns: Turns, tell: Callable[[Sequence[Draft]], None]
    ) -> list[Draft]:
        """The drafts of the documents in their order; `tell` hears of each batch. A batch has one prompt."""
        drafts: dict[str, list[Draft]] = {}
        for prompt, before in self.prefixes:
            mine = [document for document in documents if turns[document.doc_id] is prompt]
            for batch in self._batches(before, mine):
                for doc_id, queries in batch.items():
                    drafts[doc_id] = [self._draft(prompt, doc_id, *numbered) for numbered in enumerate(queries)]
                tell([draft for doc_id in batch for draft in drafts[doc_id]])
        return [draft for document in documents for draft in drafts[document.doc_id]]

    def _batches(self, before: Prefix, documents: Sequence[Document]) -> Iterator[Mapping[str, list[RawQuery]]]:
        config = self.config
        requests = [Request(one.doc_id, self.tokens.document(one), _seeds(config, one.doc_id)) for one in documents]
        decoding = Decoding(
            max_new_tokens=config.max_new_tokens,
            temperature=config.temperature if config.decoding == "sample" else None,
            top_p=config.top_p,
        )
        return write_queries(self.language_model, before, requests, decoding, config.batch_tokens)

    def _draft(self, prompt: Prompt, doc_id: str, sample: int, raw: RawQuery) -> Draft:
        shown = [pair.query.text for pair in prompt.examples] + [prompt.instruction] * bool(prompt.instruction)
        query, reason = clean_query(raw.text, shown, self.config.min_words)
        name = weak_id(prompt.prompt_id, doc_id, sample, query)
        return Draft(name, doc_id, raw.text, query, reason, round(raw.loss, _LOSS_DIGITS))


class _Tally:
    """Reports progress after each batch: how many documents are done, how fast, what was kept, the last query."""

    def __init__(self, context: StageContext, total: int, done: int) -> None:
        self._context = context
        self._total, self._done = total, done
        self._kept = self._dropped = 0
        self._last_query = ""
        self._start = time.monotonic()

    def add(self, drafts: Sequence[Draft]) -> None:
        """Count a batch. Raises Cancelled when the run was asked to stop."""
        kept = [draft.query for draft in drafts if not draft.reason]
        self._done += len({draft.doc_id for draft in drafts})
        self._kept += len(kept)
        self._dropped += len(drafts) - len(kept)
        self._last_query = kept[-1] if kept else self._last_query
        seconds = max(time.monotonic() - self._start, 1e-9)
        self._context.tick(
            self._done,
            self._total,
            "documents have their queries",
            queries_per_second=(self._kept + self._dropped) / seconds,
            kept=self._kept,
            dropped=self._dropped,
            last_query=self._last_query,
        )


def _open_writer(config: GenerateConfig, context: StageContext, prompts: Sequence[Prompt]) -> _Writer:
    prepare_torch(config.seed, config.threads)
    folder = language_model_folder(config.model, context.models)
    language_model = load_language_model(folder, config.dtype, context.device)
    tokens = PromptTokens(language_model.tokenizer, config.document_tokens, config.query_tokens)
    shown = [tokens.before(prompt) for prompt in prompts]
    before = max(virtual_tokens(one.adapter) + len(ids) for one, ids in zip(prompts, shown, strict=True))
    frame = len(language_model.opening) + before + len(tokens.document(Document("", ""))) + config.max_new_tokens
    check_window(language_model, frame + _LEAST_DOCUMENT, "select.examples")  # no shorter document would do
    check_window(language_model, frame + config.document_tokens, "generate.document_tokens")
    prefixes = [
        (one, prefix(language_model, one.adapter, ids)) for one, ids in zip(prompts, shown, strict=True)
    ]  # fmt: skip
    return _Writer(language_model, prefixes, tokens, config)


def _seeds(config: GenerateConfig, doc_id: str) -> tuple[int, ...]:
    """One seed for each query of a document, whatever stands beside it in a batch or a run."""
    digests = (sha256_json([config.seed, doc_id, sample]) for sample in range(config.queries))
    return tuple(int(digest[:15], 16) for digest in digests)  # 60 bits; torch takes 64


def _weak_row(draft: Draft, prompt: Prompt) -> dict[str, str | float]:
    style = {"style": prompt.style} if prompt.style else {}
    return {
        "weak_id": draft.weak_id, "query": draft.query, "doc_id": draft.doc_id, "prompt_id": prompt.prompt_id,
        "loss": draft.loss, **style,
    }  # fmt: skip


def _dropped_row(draft: Draft) -> dict[str, str | float]:
    return {
        "weak_id": draft.weak_id, "doc_id": draft.doc_id, "raw": draft.raw, "reason": draft.reason, "loss": draft.loss
    }  # fmt: skip


def _sentence(documents: int, kept: int, dropped: Mapping[str, int]) -> str:
    reasons = ", ".join(f"{dropped[reason]:,} {reason}" for reason in REASONS if dropped[reason])
    lost = f"{sum(dropped.values()):,} were dropped ({reasons})" if reasons else "none was dropped"
    return f"{documents:,} documents gave {kept:,} queries; {lost}."
