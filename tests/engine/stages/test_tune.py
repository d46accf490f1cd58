"""tune: the files and numbers it leaves, that a stopped run ends as an undisturbed one, and what its sentence says."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel

from sptar_engine.artifacts import checksums, read_jsonl, write_jsonl
from sptar_engine.configs import TuneConfig
from sptar_engine.data.beir import read_qrels, read_queries
from sptar_engine.data.seeds import read_seeds, seeds_path
from sptar_engine.errors import Cancelled, InputError
from sptar_engine.prompting.soft_prompt import load_language_model
from sptar_engine.prompting.template import PromptTokens
from sptar_engine.stage import SCRATCH, Progress, StageContext
from sptar_engine.stages import tune
from sptar_engine.stages.prepare import seed_rows
from sptar_engine.training.prompt_loop import Tuning, first_items

MakeContext = Callable[..., StageContext]


@pytest.fixture
def prepared(tmp_path: Path, toy_dataset: Path) -> Path:
    """As prepare leaves the toy dataset, as far as tuning reads it."""
    folder = tmp_path / "prepared"
    folder.mkdir()
    shutil.copy(toy_dataset / "corpus.jsonl", folder)
    for split in ("train", "dev"):
        rows = seed_rows(read_queries(toy_dataset), read_qrels(toy_dataset, split), 1)
        write_jsonl(seeds_path(folder, split), rows)
    return folder


@pytest.fixture
def config(tiny_llm: Path) -> TuneConfig:
    return TuneConfig(model=str(tiny_llm), virtual_tokens=6, epochs=2, document_tokens=32, query_tokens=24)


def test_leaves_an_adapter_that_peft_loads_with_the_loss_it_reports(
    make_context: MakeContext, prepared: Path, config: TuneConfig, tiny_llm: Path
) -> None:
    context = make_context("tune", {"prepare": prepared})
    metrics = tune.run(config, context).metrics
    language_model = load_language_model(tiny_llm, "float32", "cpu")
    peft_model = PeftModel.from_pretrained(language_model.model, str(context.out_dir / "adapter"))
    tokens = PromptTokens(language_model.tokenizer, 32, 24)
    nats, count = 0.0, 0
    for document, query in first_items(read_seeds(prepared, "dev"), tokens):
        labels = torch.tensor([[-100] * len(document) + query])
        with torch.no_grad():
            loss = peft_model(input_ids=torch.tensor([document + query]), labels=labels).loss
        nats, count = nats + float(loss) * len(query), count + len(query)
    assert nats / count == pytest.approx(math.log(metrics["heldout_perplexity"]), abs=1e-3)
    assert str(tiny_llm) not in (context.out_dir / "adapter" / "adapter_config.json").read_text(encoding="utf-8")


def test_history_and_metrics_agree(make_context: MakeContext, prepared: Path, config: TuneConfig) -> None:
    context = make_context("tune", {"prepare": prepared})
    metrics = tune.run(config, context).metrics
    history = list(read_jsonl(context.out_dir / "history.jsonl"))
    assert [row["epoch"] for row in history] == list(range(metrics["epochs_run"] + 1))
    assert history[0]["heldout_perplexity"] == metrics["heldout_perplexity_before"]
    assert min(row["heldout_perplexity"] for row in history) == metrics["heldout_perplexity"]
    assert history[metrics["best_epoch"]]["heldout_perplexity"] == metrics["heldout_perplexity"]
    assert metrics["reduction"] == 1 - metrics["heldout_perplexity"] / metrics["heldout_perplexity_before"]
    counts = {name: metrics[name] for name in ("train_queries", "heldout_queries", "trainable_parameters")}
    assert counts == {"train_queries": 14, "heldout_queries": 12, "trainable_parameters": 6 * 32}
    json.dumps(metrics, allow_nan=False)


@pytest.mark.parametrize("stop_at", [1, 4, 5, 7, 10])
def test_stopped_and_started_again_leaves_the_same_bytes(
    make_context: MakeContext, prepared: Path, config: TuneConfig, stop_at: int
) -> None:
    whole = make_context("tune", {"prepare": prepared})
    expected = tune.run(config, whole).metrics
    ticks: list[Progress] = []
    cut = make_context("tune", {"prepare": prepared}, report=ticks.append, should_stop=lambda: len(ticks) == stop_at)
    with pytest.raises(Cancelled):
        tune.run(config, cut)
    assert not (cut.out_dir / "adapter").exists()
    assert tune.run(config, replace(cut, should_stop=lambda: False)).metrics == expected
    skip = frozenset({SCRATCH})
    assert checksums(cut.out_dir, skip) == checksums(whole.out_dir, skip)


@pytest.mark.parametrize("split", ["train", "dev"])
def test_missing_seeds_are_an_input_error(
    make_context: MakeContext, prepared: Path, config: TuneConfig, split: str
) -> None:
    write_jsonl(seeds_path(prepared, split), [])
    with pytest.raises(InputError, match="tuning needs both"):
        tune.run(config, make_context("tune", {"prepare": prepared}))


def _summary(losses: list[float], **changes: Any) -> dict[str, Any]:
    tuning = Tuning()
    for loss in losses:
        tuning.add(1.0, loss, {})
    return tune.summarise(tuning, TuneConfig(**changes), 50.0)


def test_summary_reads_a_curve_that_was_stopped() -> None:
    summary = _summary([math.log(40), math.log(30), math.log(31), math.log(32)], epochs=8, patience=2)
    assert summary["heldout_perplexity"] == pytest.approx(30)
    assert summary["reduction"] == pytest.approx(0.25)
    assert (summary["best_epoch"], summary["epochs_run"]) == (1, 3)
    assert summary["sentence"] == (
        "Held-out perplexity fell from 40.0 to 30.0 (25% less), best after epoch 1. Without a soft prompt it is 50.0. "
        "Training stopped after epoch 3, since 2 epochs in a row were no better."
    )


def test_summary_says_that_more_epochs_may_help() -> None:
    assert _summary([4.0, 3.0, 2.0], epochs=2)["sentence"].endswith(
        "The last epoch was the best: more epochs may bring more."
    )


def test_summary_says_that_the_later_epochs_were_no_better() -> None:
    assert _summary([4.0, 2.0, 3.0], epochs=2)["sentence"].endswith("The epochs after it were no better.")


def test_summary_says_that_the_start_was_kept() -> None:
    summary = _summary([math.log(40), math.log(41)], epochs=1)
    assert summary["reduction"] == 0
    assert summary["sentence"].startswith("No epoch brought held-out perplexity below the 40.0 of the start")
