"""The folder of an experiment as a finished or half-finished run leaves it, with made-up numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sptar_engine.arms import ARMS, read_cell
from sptar_engine.workspace import EXPERIMENT

QUERIES = 40


def write_experiment(
    folder: Path,
    cells: Mapping[str, float | Sequence[float]],
    missing: Sequence[str] = (),
    dev: Mapping[str, float] | None = None,
) -> None:
    """Write experiment.json and metrics.json for cells whose queries have nDCG@10 around a mean, one per training.

    `missing` are cells that were asked for; `dev` has the dev nDCG@10 of a cell's training, 0.5 where it is not named,
    and a fusion has 0.01 more.
    """
    rows: list[dict[str, Any]] = [_row("prepare", "prepare", "sptar", seconds=1.0, peak=100)]
    for name, means in cells.items():
        for number, mean in enumerate([means] if isinstance(means, float) else means):
            rows += _cell(folder, name, number, mean, (dev or {}).get(name, 0.5))
    about = {"dataset": "toy", "cells": [*cells, *missing], "steps": rows}
    (folder / EXPERIMENT).write_text(json.dumps(about))


def _cell(folder: Path, name: str, number: int, mean: float, dev: float) -> list[dict[str, Any]]:
    one, end = read_cell(name), f"{name}.{number + 1}" if number else name
    rows, inputs = [], {"prepare": "prepare"}
    if ARMS[one.arm].generates:
        place = float(one.variant.removeprefix("prompt_")) if one.variant.startswith("prompt_") else 1.0
        perplexity, kept = {"heldout_perplexity": 20 + place}, {"kept": 100 - int(place)}
        rows.append(_row(f"select.{end}", "select", name, {"prepare": "prepare"}, perplexity, 10.0, 400))
        rows.append(_row(f"filter.{end}", "filter", name, {"select": f"select.{end}"}, kept, 5.0, 300))
    if ARMS[one.arm].trains:
        trained = {"prepare": "prepare"} | ({"filter": f"filter.{end}"} if rows else {})
        metrics = {
            "dev_nDCG@10": dev, "dev_nDCG@10_trained": dev, "dev_nDCG@10_untrained": 0.4, "kept_untrained": dev <= 0.4,
            "weak_pairs": 90, "sentence": f"Dev {dev}.",
        }  # fmt: skip
        rows.append(_row(f"train.{end}", "train", name, trained, metrics, 100.0, 900))
        inputs["train"] = f"train.{end}"
    if one.family == "hybrid":
        rows.append(_row(f"fuse.{end}", "fuse", name, inputs, {"dev_nDCG@10": dev + 0.01}, 3.0, 500))
        inputs = {**inputs, "fuse": f"fuse.{end}"}
    rows.append(_row(f"evaluate.{end}", "evaluate", name, inputs, {}, 2.0, 600))
    _write_metrics(folder / rows[-1]["folder"], mean)
    return rows


def _row(
    step: str, stage: str, name: str, inputs: Mapping[str, str] | None = None,
    metrics: Mapping[str, Any] | None = None, seconds: float = 1.0, peak: int = 100,
) -> dict[str, Any]:  # fmt: skip
    one = read_cell(name)
    return {
        "step": step, "stage": stage, "arms": [one.arm], "family": one.family, "variant": one.variant,
        "inputs": dict(inputs or {}), "config": {}, "folder": f"stages/{step.replace('/', '-')}", "seconds": seconds,
        "peak_mib": peak, "metrics": dict(metrics or {}),
    }  # fmt: skip


def _write_metrics(folder: Path, mean: float) -> None:
    folder.mkdir(parents=True)
    values = {f"q{number}": mean + (number - QUERIES / 2) / 400 for number in range(QUERIES)}
    per_query = dict.fromkeys(("nDCG@10", "RR@10", "R@100", "AP"), values)
    (folder / "metrics.json").write_text(json.dumps({"per_query": per_query}))
