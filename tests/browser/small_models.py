"""The bundled models' places taken by tiny random ones, so that a whole experiment takes two minutes.

All stages are the real ones but one: a random model cannot ask, so a stand-in writes the questions from words of the
documents. What is packed, indexed, searched with and downloaded is real.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sptar_engine import catalog, registry
from sptar_engine.artifacts import checksums, sha256_json, write_jsonl
from sptar_engine.catalog import LANGUAGE_MODEL, ModelEntry
from sptar_engine.configs import StageConfig
from sptar_engine.data.seeds import read_pool
from sptar_engine.data.weak import WEAK_FILE
from sptar_engine.prompting.shards import Draft, ShardFolder, split_shards, weak_id
from sptar_engine.records import Document
from sptar_engine.registry import Run, StageSpec
from sptar_engine.stage import StageContext, StageOutput

FOLDER = "tiny-models"
"""In the data folder; `write` fills it before the application starts."""

VAGUE = "what does it do"
"""Asked of every twelfth document: the filter drops it."""


def write(folder: Path) -> None:
    """Write both models. Loads torch."""
    from tests import tiny_models

    (folder / "writer").mkdir(parents=True)
    (folder / "encoder").mkdir()
    tiny_models.write_llama(folder / "writer")
    tiny_models.write_encoder(folder / "encoder")


def install() -> None:
    """Let the catalogue's bundled models be the tiny ones, and the stand-in write the questions."""
    bundled, load = catalog._bundled_entry, StageSpec.load
    folder = Path(os.environ["SPTAR_DATA"]) / FOLDER

    def entry(one: Any) -> ModelEntry:
        name = "writer" if one.kind == LANGUAGE_MODEL else "encoder"
        return replace(bundled(one), revision="tiny", folder=folder / name)

    def load_stage(spec: StageSpec) -> Run:
        return write_questions if spec.name == "generate" else load(spec)

    catalog._bundled_entry = entry  # type: ignore[assignment]  # the argument's name
    registry.StageSpec.load = load_stage  # type: ignore[method-assign, assignment]  # self's


def write_questions(config: StageConfig, context: StageContext) -> StageOutput:
    """What the stage generate leaves, shard by shard, with the numbers that pages show."""
    settings = config.as_dict()
    documents = {one.doc_id: one for one in read_pool(context.input("prepare"), int(settings["documents"]))}
    prompt = sha256_json(checksums(context.input("select")))[:8]
    folder = ShardFolder(context.scratch, prompt)
    shards = split_shards(list(documents), int(settings["shard_documents"]))
    how = "how do i use" if "tune" in context.inputs else "what is"
    done = 0
    for shard in shards:
        drafts = [_draft(prompt, how, at + done, documents[doc_id]) for at, doc_id in enumerate(shard.doc_ids)]
        folder.write(shard, drafts)
        done += len(drafts)
        context.tick(done, len(documents), "documents have their queries", last_query=drafts[-1].query)
    _finish(context.out_dir, prompt, [draft for shard in shards for draft in folder.read(shard)])
    return StageOutput({"documents": done, "queries": done, "sentence": f"{done} documents have a question."})


def _draft(prompt: str, how: str, number: int, document: Document) -> Draft:
    """Its question: of words that are frequent in the document; each twelfth is vague, each thirtieth too short."""
    text = f"{how} {' '.join(_frequent(document))} with {document.title or document.doc_id}"
    if number % 12 == 11:
        text = VAGUE
    reason = "short" if number % 30 == 29 else ""
    raw = "use" if reason else text
    name = weak_id(prompt, document.doc_id, 0, text)
    return Draft(name, document.doc_id, raw, "" if reason else text, reason, round(0.5 + number % 20 / 10, 4))


def _frequent(document: Document) -> Sequence[str]:
    counts = Counter(re.findall("[a-z]{5,}", document.text.lower()))
    return [word for word, _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:3]]


def _finish(out: Path, prompt: str, drafts: Sequence[Draft]) -> None:
    write_jsonl(out / WEAK_FILE, _rows(prompt, [one for one in drafts if not one.reason]))
    write_jsonl(
        out / "dropped.jsonl",
        ({"weak_id": one.weak_id, "doc_id": one.doc_id, "raw": one.raw, "reason": one.reason, "loss": one.loss}
         for one in drafts if one.reason),
    )  # fmt: skip


def _rows(prompt: str, drafts: Sequence[Draft]) -> Iterator[dict[str, Any]]:
    for one in drafts:
        yield {
            "weak_id": one.weak_id, "query": one.query, "doc_id": one.doc_id, "prompt_id": prompt, "loss": one.loss,
        }  # fmt: skip
