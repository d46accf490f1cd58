"""Weak queries per second: ours against the official way and against plain batched generation.

    python -m benchmarks.generation --docs 64 --json

All three run the bundled model in float32 behind the same soft prompt (50 virtual tokens from the usual words; left
untrained, since its values change no cost) and one example pair, on documents of the sample drawn with a fixed seed.

`official` does what the official code does (zhiyuanpeng/SPTAR, xuyang/weak_inference.py): one document at a time
through `PeftModel.generate`, the prompt recomputed, documents whole, 128 new tokens, no stop at a newline. Its second
and third try at an empty query are left out. It takes over 10 s a document, so it gets four, at the quartiles of
length.

`batched` is plain batching as well as transformers' `generate` can do it: soft prompt, example and document as input
embeddings, padded on the left with the mask that keeps it right, documents cut as ours and sorted by length, stop at
a newline and the same most tokens; but the prompt is computed for each row, and a batch runs until its last row ends.
It runs 16 rows at a time (`--batched-rows`) and, to save time, gets every second document by length.

`checks.equal_to_reference` is the share of our queries that are, token by token, what the model writes for the
document alone (benchmarks/reference.py); `checks.batched_equal` the share of the queries of `batched` that are ours.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from peft import PeftModel

from benchmarks.reference import DIFFERENT, EQUAL, TIE, Reference
from sptar_engine.catalog import language_model_folder
from sptar_engine.configs import GenerateConfig, TuneConfig
from sptar_engine.data.beir import CORPUS_FILE, iter_documents, read_qrels, read_queries
from sptar_engine.data.sample.builder import write_sample
from sptar_engine.prompting.decoding import Decoding, stop_tokens
from sptar_engine.prompting.generation import Request, decode_batch, write_queries
from sptar_engine.prompting.soft_prompt import (
    LanguageModel,
    build_soft_prompt,
    load_language_model,
    prefix,
    save_soft_prompt,
)
from sptar_engine.prompting.template import PromptTokens
from sptar_engine.records import Document, SeedPair
from sptar_engine.runtime import prepare_torch

_MODEL = "smollm2-135m-instruct"
_SEED = 13
_OFFICIAL_TOKENS = 128
_WHOLE = 10**6  # tokens; longer than any document
_QUARTILES = (0.125, 0.375, 0.625, 0.875)  # the middles of the four quarters of the documents by length
_BATCHED_ROWS = 16

Queries = dict[str, str]
"""Raw query by document id."""


@dataclass(frozen=True, slots=True)
class Race:
    """What all three sides share."""

    language_model: LanguageModel
    peft_model: PeftModel
    adapter: Path
    examples: list[int]
    documents: list[Document]
    config: GenerateConfig

    @property
    def requests(self) -> list[Request]:
        """The documents, cut as in a real run, longest first."""
        tokens = PromptTokens(self.language_model.tokenizer, self.config.document_tokens, self.config.query_tokens)
        found = [Request(document.doc_id, tokens.document(document)) for document in self.documents]
        return sorted(found, key=lambda request: (-len(request.tokens), request.doc_id))

    @property
    def decoding(self) -> Decoding:
        """Greedy, as every side here."""
        return Decoding(max_new_tokens=self.config.max_new_tokens)

    def run_ours(self) -> Queries:
        """From documents to queries, the prefix included."""
        before = prefix(self.language_model, self.adapter, self.examples)
        budget = self.config.batch_tokens
        batches = write_queries(self.language_model, before, self.requests, self.decoding, budget)
        return {doc_id: queries[0].text for batch in batches for doc_id, queries in batch.items()}

    def run_batched(self, rows: int) -> Queries:
        """Plain `generate` on the base model, `rows` documents at a time, every second document by length."""
        requests = self.requests[::2]
        queries: Queries = {}
        for start in range(0, len(requests), rows):
            queries |= self._generate_batch(requests[start : start + rows])
        return queries

    @torch.inference_mode()
    def _generate_batch(self, requests: Sequence[Request]) -> Queries:
        model, tokenizer = self.language_model.model, self.language_model.tokenizer
        soft = self.peft_model.get_prompt(1).to(model.dtype)
        texts = [
            torch.cat([soft, self.language_model.embed([*self.examples, *request.tokens])], 1)[0]
            for request in requests
        ]
        embeddings = torch.nn.utils.rnn.pad_sequence(texts, batch_first=True, padding_side="left")
        width = embeddings.shape[1]
        mask = torch.tensor([[0] * (width - len(text)) + [1] * len(text) for text in texts], device=embeddings.device)
        written = model.generate(
            inputs_embeds=embeddings,
            attention_mask=mask,
            do_sample=False,
            max_new_tokens=self.config.max_new_tokens,
            eos_token_id=sorted(stop_tokens(tokenizer)),
            pad_token_id=tokenizer.eos_token_id,
        )
        raw = tokenizer.batch_decode(written, skip_special_tokens=True)
        return {request.doc_id: text for request, text in zip(requests, raw, strict=True)}

    @torch.inference_mode()
    def run_official(self) -> Queries:
        """One document at a time, whole, through PEFT; the query is cut out of what was written afterwards."""
        tokenizer = self.language_model.tokenizer
        tokens = PromptTokens(tokenizer, _WHOLE, self.config.query_tokens)
        peft_model: Any = self.peft_model  # its generate is not typed
        queries: Queries = {}
        for document in quartiles(self.documents, lambda one: len(tokens.document(one))):
            ids = torch.tensor([[*self.examples, *tokens.document(document)]], device=self.language_model.device)
            written = peft_model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                do_sample=False,
                max_new_tokens=_OFFICIAL_TOKENS,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.eos_token_id,
            )
            text = tokenizer.decode(written[0, ids.shape[1] :], skip_special_tokens=True)
            queries[document.doc_id] = text.split("\n", 1)[0]
        return queries

    def judge(self) -> tuple[Counter[str], Queries]:
        """Hold one run of ours against the reference; also returns its queries. One forward pass a document."""
        before = prefix(self.language_model, self.adapter, self.examples)
        requests = self.requests
        found = decode_batch(self.language_model, before, requests, self.decoding, self.config.batch_tokens)
        written = [one.tokens for one in found]
        reference = Reference(self.language_model, self.peft_model, self.examples)
        stops, most = stop_tokens(self.language_model.tokenizer), self.config.max_new_tokens
        judged: Counter[str] = Counter()
        for done, (request, tokens) in enumerate(zip(requests, written, strict=True), 1):
            judged[reference.judge(request.tokens, tokens, stops, most)] += 1
            if done % 16 == 0:
                tell(f"reference: {done} of {len(requests)} documents, {dict(judged)}")
        texts = self.language_model.tokenizer.batch_decode(written, skip_special_tokens=True)
        return judged, {request.doc_id: text for request, text in zip(requests, texts, strict=True)}


def quartiles(documents: Sequence[Document], length: Callable[[Document], int]) -> list[Document]:
    """Four documents, one from the middle of each quarter by length; all of them when there are fewer."""
    ordered = sorted(documents, key=lambda one: (length(one), one.doc_id))
    return list(dict.fromkeys(ordered[int(share * len(ordered))] for share in _QUARTILES))


def prepare(arguments: argparse.Namespace, folder: Path) -> Race:
    """Write the sample, load the model, make the soft prompt and choose the example and the documents."""
    prepare_torch(_SEED, arguments.threads)
    write_sample(folder / "sample")
    every = {document.doc_id: document for document in iter_documents(folder / "sample" / CORPUS_FILE)}
    queries, qrels = read_queries(folder / "sample"), read_qrels(folder / "sample", "train")
    query_id = next(iter(qrels.grades))
    example = SeedPair(queries[query_id], every.pop(qrels.relevant(query_id)[0]))
    config, tune = GenerateConfig(), TuneConfig()
    tell("loading the model")
    models = arguments.models or folder / "models"
    language_model = load_language_model(language_model_folder(_MODEL, models), "float32", "cpu")
    peft_model = build_soft_prompt(
        language_model,
        method="prompt_tuning",
        virtual_tokens=tune.virtual_tokens,
        init_text=tune.init_text,
        base_name=_MODEL,
        seed=_SEED,
    ).eval()
    save_soft_prompt(peft_model, folder / "adapter")
    examples = PromptTokens(language_model.tokenizer, config.document_tokens, config.query_tokens).examples([example])
    documents = random.Random(_SEED).sample(list(every.values()), arguments.docs)
    return Race(language_model, peft_model, folder / "adapter", examples, documents, config)


def measure(sides: Mapping[str, Callable[[], Queries]], repeats: int) -> tuple[dict[str, float], dict[str, Queries]]:
    """Median queries per second of each side, the sides taking turns; and the queries of the last turn."""
    rates: dict[str, list[float]] = {name: [] for name in sides}
    queries: dict[str, Queries] = {}
    for turn in range(1, repeats + 1):
        for name, run in sides.items():
            start = time.perf_counter()
            queries[name] = run()
            seconds = time.perf_counter() - start
            rates[name].append(len(queries[name]) / seconds)
            tell(f"turn {turn} of {repeats}, {name}: {len(queries[name])} queries in {seconds:.1f} s")
    return {name: median(found) for name, found in rates.items()}, queries


def summarise(
    rates: Mapping[str, float], queries: Mapping[str, Queries], judged: Mapping[str, int], checked: Queries
) -> dict[str, Any]:
    """The line that every benchmark ends with (issue 2)."""
    total = len(checked)
    plain = queries["batched"]
    same = sum(queries["ours"][doc_id] == text for doc_id, text in plain.items())
    return {
        "benchmark": "generation",
        "unit": "weak queries per second",
        "ours": round(rates["ours"], 3),
        "peers": {name: round(rates[name], 4) for name in ("official", "batched")},
        "ratio": {name: round(rates["ours"] / rates[name], 2) for name in ("official", "batched")},
        "checks": {
            "equal_to_reference": round(judged[EQUAL] / total, 4),
            "near_ties": judged[TIE],
            "differences_not_near_ties": judged[DIFFERENT],
            "documents_checked": total,
            "runs_equal": queries["ours"] == checked,
            "batched_equal": round(same / len(plain), 4),
        },
    }


def tell(line: str) -> None:
    """Say what is going on, on standard error."""
    print(line, file=sys.stderr, flush=True)


def main(words: Sequence[str] | None = None) -> None:
    """Run and print."""
    about = (__doc__ or "").split("\n", 1)[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generation", description=about)
    parser.add_argument("--docs", type=int, default=64, help="documents, one query each")
    parser.add_argument("--repeats", type=int, default=3, help="turns of each side; the medians count")
    parser.add_argument("--batched-rows", type=int, default=_BATCHED_ROWS, help="rows per batch of `batched`")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 = torch's choice")
    parser.add_argument("--models", type=Path, default=None, help="folder that keeps the unpacked model between runs")
    parser.add_argument("--json", action="store_true", help="print the JSON line alone")
    arguments = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as folder:
        race = prepare(arguments, Path(folder))
        judged, checked = race.judge()  # also warms up
        sides = {
            "ours": race.run_ours,
            "batched": lambda: race.run_batched(arguments.batched_rows),
            "official": race.run_official,
        }
        rates, queries = measure(sides, arguments.repeats)
    result = summarise(rates, queries, judged, checked)
    if not arguments.json:
        print(", ".join(f"{name} {rate:.3f} queries/s" for name, rate in rates.items()))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
