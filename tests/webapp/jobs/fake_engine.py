"""Stages that take no model: they read and write what the real ones do, and behave as files in a folder say.

`install` puts them in the engine's place. The folder `control` beside the models folder holds what a test wants:
`pace` (seconds for each document), `hold` (wait while the file is there), `poison` (ids of documents that kill the
process), `crash` (stages that always do), `leak` (the name of a file to fill the disk with), `stubborn` (ignore
everything while the file is there), `java` (start a JVM), `boom` (raise an error nobody foresaw).
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import sptar_engine
from sptar_engine import catalog, registry
from sptar_engine.artifacts import read_json, read_jsonl, sha256_json, write_json, write_jsonl
from sptar_engine.configs import StageConfig
from sptar_engine.data.beir import write_labels
from sptar_engine.data.seeds import POOL_FILE
from sptar_engine.data.taught import SCORES_FILE
from sptar_engine.data.weak import RANKS_FILE, WEAK_FILE
from sptar_engine.prompting.shards import Draft, ShardFolder, split_shards, weak_id
from sptar_engine.records import Hit, Qrels, Query
from sptar_engine.stage import StageContext, StageOutput

EPOCHS = 4
TESTS = [f"q{number}" for number in range(40)]
"""The test queries, whatever the dataset has."""


def install() -> None:
    """Let these stages be what the registry loads, on a machine that needs no look."""
    registry.StageSpec.load = lambda spec: _guarded(spec.name)  # type: ignore[method-assign]
    catalog.language_model_folder = lambda name, models: models  # type: ignore[assignment]
    runtime = ModuleType("sptar_engine.runtime")
    machine = {"device": "cpu", "dtype": "float32", "threads": 1}
    runtime.pick_device = lambda: "cpu"  # type: ignore[attr-defined]
    runtime.decide = lambda model: type("Machine", (), {"as_dict": lambda self: machine})()  # type: ignore[attr-defined]
    sys.modules["sptar_engine.runtime"] = sptar_engine.runtime = runtime  # type: ignore[attr-defined]


def _guarded(stage: str) -> registry.Run:
    def run(config: StageConfig, context: StageContext) -> StageOutput:
        if stage in _words(context, "crash"):
            die()
        if stage in _words(context, "boom"):
            raise ValueError("a cause that nobody foresaw")
        if stage in _words(context, "leak"):
            with Path("/dev/full").open("wb", buffering=0) as full:
                full.write(b"x")
        if _control(context, "java").exists():
            from sptar_engine.retrieval.java import java_class

            java_class("java.lang.Object")  # starts the virtual machine, which would like the signals for itself
        return _STAGES[stage](config, context)

    return run


def die() -> None:
    """End as by a segmentation fault or the kernel's out-of-memory killer."""
    os.kill(os.getpid(), signal.SIGKILL)


def _control(context: StageContext, name: str) -> Path:
    return context.models.parent / "control" / name


def _words(context: StageContext, name: str) -> list[str]:
    path = _control(context, name)
    return path.read_text().split() if path.exists() else []


def _pause(context: StageContext) -> None:
    time.sleep(float((_words(context, "pace") or ["0"])[0]))
    while _control(context, "hold").exists():
        time.sleep(0.05)
        context.tick(0, 0, "held") if not _control(context, "stubborn").exists() else None


def _prepare(config: StageConfig, context: StageContext) -> StageOutput:
    rows = list(read_jsonl(context.input("dataset") / "corpus.jsonl"))
    write_jsonl(context.out_dir / "corpus.jsonl", rows)
    write_jsonl(context.out_dir / POOL_FILE, ({"doc_id": row["_id"]} for row in rows))
    grades = {name: {rows[at % len(rows)]["_id"]: 1} for at, name in enumerate(TESTS)}
    write_labels(context.out_dir, [Query(name, f"what is {name}") for name in TESTS], {"test": Qrels(grades)})
    context.tick(len(rows), len(rows), "documents read")
    _pause(context)
    return StageOutput({"documents": len(rows), "sentence": f"{len(rows)} documents"})


def _tune(config: StageConfig, context: StageContext) -> StageOutput:
    history = [{"epoch": 0, "train_loss": None, "heldout_loss": 3.0, "heldout_perplexity": 20.0}]
    for epoch in range(1, EPOCHS + 1):
        _pause(context)
        context.tick(epoch, EPOCHS, f"epoch {epoch} of {EPOCHS}", epoch=epoch, loss=2.0 / epoch)
        perplexity = 20.0 - epoch
        context.tick(epoch, EPOCHS, f"epoch {epoch} of {EPOCHS}", epoch=epoch, heldout_perplexity=perplexity)
        history.append(
            {"epoch": epoch, "train_loss": 2.0 / epoch, "heldout_loss": 1.0, "heldout_perplexity": perplexity}
        )
    write_jsonl(context.out_dir / "history.jsonl", history)
    return StageOutput({"heldout_perplexity": 16.0, "best_epoch": EPOCHS, "sentence": "fell"})


def _select(config: StageConfig, context: StageContext) -> StageOutput:
    context.tick(1, 1, "example set 1 of 1", perplexity=12.0, best=12.0)
    write_json(context.out_dir / "prompt.json", {"tuned": "tune" in context.inputs})
    return StageOutput({"perplexity": 12.0, "sentence": "one set"})


def _generate(config: StageConfig, context: StageContext) -> StageOutput:
    settings = config.as_dict()
    pool = [row["doc_id"] for row in read_jsonl(context.input("prepare") / POOL_FILE)][: int(settings["documents"])]
    prompt = sha256_json(read_json(context.input("select") / "prompt.json"))[:8]
    folder = ShardFolder(context.scratch, prompt)
    shards = split_shards(pool, int(settings["shard_documents"]))
    done = sum(len(shard.doc_ids) for shard in shards if folder.has(shard))
    for shard in (one for one in shards if not folder.has(one)):
        drafts = []
        for doc_id in shard.doc_ids:
            _pause(context)
            if doc_id in _words(context, "poison"):
                die()
            drafts += list(_drafts(prompt, doc_id, int(settings["queries"])))
            done += 1
            context.tick(done, len(pool), "documents have their queries", last_query=drafts[-1].query)
        folder.write(shard, drafts)
    drafts = [draft for shard in shards for draft in folder.read(shard)]
    write_jsonl(
        context.out_dir / WEAK_FILE,
        ({"weak_id": one.weak_id, "query": one.query, "doc_id": one.doc_id, "prompt_id": prompt, "loss": one.loss}
         for one in drafts if not one.reason),
    )  # fmt: skip
    write_jsonl(
        context.out_dir / "dropped.jsonl",
        ({"weak_id": one.weak_id, "doc_id": one.doc_id, "raw": one.raw, "reason": one.reason, "loss": one.loss}
         for one in drafts if one.reason),
    )  # fmt: skip
    return StageOutput({"documents": len(pool), "queries": len(drafts), "sentence": f"{len(pool)} documents."})


def _drafts(prompt: str, doc_id: str, queries: int) -> Iterator[Draft]:
    """Every tenth document gives a query that clean-up drops."""
    for sample in range(queries):
        text = f"what does {doc_id} say, part {sample}"
        reason = "short" if doc_id.endswith("9") else ""
        yield Draft(weak_id(prompt, doc_id, sample, text), doc_id, text, "" if reason else text, reason, 1.0)


def _filter(config: StageConfig, context: StageContext) -> StageOutput:
    rows = list(read_jsonl(context.input("generate") / WEAK_FILE))
    ranked = [
        {
            **row,
            "rank": None if at % 5 == 4 else at % 5 + 1,
            "kept": at % 5 != 4,
            "reason": "rank" if at % 5 == 4 else "",
        }
        for at, row in enumerate(rows)
    ]
    write_jsonl(context.out_dir / RANKS_FILE, ranked)
    context.tick(len(rows), len(rows), "queries ranked")
    return StageOutput({"total": len(rows), "kept": sum(row["kept"] for row in ranked), "sentence": "kept most"})


def _teach(config: StageConfig, context: StageContext) -> StageOutput:
    write_jsonl(context.out_dir / SCORES_FILE, ())
    return StageOutput({
        "teacher": config.as_dict()["teacher"], "teaches": False, "dev_nDCG@10": 0.5, "dev_nDCG@10_base": 0.5,
        "dev_queries": 2, "weight_cosine": 20.0, "weight_bm25": 0.0, "queries": 0, "documents": 0,
        "sentence": "no better than the untrained model",
    })  # fmt: skip


def _train(config: StageConfig, context: StageContext) -> StageOutput:
    steps = 20
    for step in range(1, steps + 1):
        _pause(context)
        context.tick(step, steps, f"step {step} of {steps}", loss=1.0 / step, step=step)
    rows = [{"step": step, "loss": 1.0 / step if step else None, "dev_nDCG@10": 0.5 if step % 10 == 0 else None}
            for step in range(steps + 1)]  # fmt: skip
    write_jsonl(context.out_dir / "history.jsonl", rows)
    write_json(context.out_dir / "model" / "weights.json", {"seed": config.as_dict()["seed"]})
    return StageOutput({
        "kept_untrained": False, "dev_nDCG@10_trained": 0.6, "dev_nDCG@10_untrained": 0.5, "sentence": "better",
    })  # fmt: skip


def _evaluate(config: StageConfig, context: StageContext) -> StageOutput:
    from sptar_engine.evaluation.trec import write_run  # loads numpy, which the worker's parent must not

    quality = 0.6 if "train" in context.inputs else 0.4
    per_query = {name: min(1.0, quality + at / 200) for at, name in enumerate(TESTS)}
    documents = [row["doc_id"] for row in read_jsonl(context.input("prepare") / POOL_FILE)][:12]
    hits = [Hit(doc_id, -float(at)) for at, doc_id in enumerate(documents)]
    write_run(context.out_dir / "run.trec", dict.fromkeys(TESTS, hits), "fake")
    _pause(context)
    context.tick(40, 40, "queries searched")
    write_json(context.out_dir / "metrics.json", {"mean": {"nDCG@10": quality}, "per_query": {"nDCG@10": per_query}})
    return StageOutput({"nDCG@10": quality, "sentence": f"nDCG@10 {quality}"})


def _package(config: StageConfig, context: StageContext) -> StageOutput:
    (context.out_dir / "retriever.zip").write_bytes(b"PK")
    return StageOutput({"bytes": 2, "sentence": "packed"})


_STAGES = {
    "prepare": _prepare, "tune": _tune, "select": _select, "generate": _generate, "filter": _filter, "teach": _teach,
    "train": _train, "evaluate": _evaluate, "package": _package,
}  # fmt: skip
