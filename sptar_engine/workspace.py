"""An experiment's folder on disk: one owner at a time, what the machine decided, what ran, and the comparison."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sptar_engine import ablation, comparison, prompt_ladder
from sptar_engine.artifacts import read_json, write_json
from sptar_engine.errors import InputError, StageError
from sptar_engine.experiment import settled
from sptar_engine.pipeline import RESULT, StageResult
from sptar_engine.steps import MEASURING, Step

EXPERIMENT = "experiment.json"
COMPARISON = "comparison.json"
_MACHINE = "machine.json"


@contextmanager
def occupy(out: Path) -> Iterator[None]:
    """Own a folder while the block runs. Raises InputError when another run owns it.

    A folder that did not exist before goes again if the block fails before a stage was finished.
    """
    fresh = not out.exists()
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; --out takes a folder.")
    out.mkdir(parents=True, exist_ok=True)
    with (out / ".running").open("w") as handle:
        _lock(handle.fileno(), out)
        try:
            yield
        except BaseException:
            if fresh and not any(out.glob(f"stages/*/{RESULT}")) and not any(out.glob("stages/*/scratch")):
                shutil.rmtree(out, ignore_errors=True)
            raise


def _lock(handle: int, out: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(f"Another run is at work in {out}; wait for it or choose another --out.") from None


def machine(out: Path, language_model: Path | None, name: str) -> dict[str, Any]:
    """What the machine decided for this folder: `device`, `dtype`, `threads`. Decided once, then kept.

    The number format is measured for each language model that takes part, once. Raises StageError when a GPU was
    decided on and this machine has none: half of an experiment on another device is no experiment.
    """
    stored: dict[str, Any] = read_json(out / _MACHINE) if (out / _MACHINE).exists() else {"dtypes": {}}
    if stored.get("device") == "cuda":
        _check_gpu(out)
    if "device" not in stored or (language_model is not None and name not in stored["dtypes"]):
        from sptar_engine import runtime  # loads torch

        decided = runtime.decide(language_model)
        stored = {"device": decided.device, "threads": decided.threads, **stored}
        if language_model is not None:
            stored["dtypes"][name] = decided.dtype
        write_json(out / _MACHINE, stored)
    dtype = stored["dtypes"].get(name, "float32")
    return {"device": stored["device"], "dtype": dtype, "threads": stored["threads"]}


def _check_gpu(out: Path) -> None:
    from sptar_engine import runtime  # loads torch

    if runtime.pick_device() != "cuda":
        raise StageError(
            f"The experiment in {out} was begun on a GPU and this machine has none that works; go on where it was "
            "begun, or choose another --out."
        )


def record(
    out: Path, about: Mapping[str, Any], steps: Sequence[Step], results: Mapping[str, StageResult]
) -> dict[str, Any]:
    """Write experiment.json: what was asked, and for each finished step its folder, numbers, seconds and memory.

    `steps` is the whole plan: `cells` are those that it comes to, finished or not.
    """
    rows = [_row(out, step, results) for step in steps if step.step_id in results]
    value = {
        **about,
        "cells": list(dict.fromkeys(step.cell for step in steps if step.stage == MEASURING)),
        "complete": len(rows) == len(steps),
        "peak_mib": max((row["peak_mib"] for row in rows), default=0),
        "steps": rows,
    }
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / EXPERIMENT, value)
    return value


def _row(out: Path, step: Step, results: Mapping[str, StageResult]) -> dict[str, Any]:
    result = results[step.step_id]
    config = settled(step, {source: results[source].metrics["kept"] for source in step.equal})
    return {
        "step": step.step_id, "stage": step.stage, "arms": list(step.arms), "family": step.family,
        "variant": step.variant, "inputs": dict(step.inputs), "config": config.as_dict(),
        "folder": os.path.relpath(result.folder, out), "seconds": result.seconds, "peak_mib": result.peak_mib,
        "metrics": dict(result.metrics),
    }  # fmt: skip


def load(out: Path) -> dict[str, Any]:
    """Read experiment.json. Raises InputError when the folder holds no experiment."""
    if not (out / EXPERIMENT).is_file():
        raise InputError(f"{out} holds no experiment; give the --out folder of `sptar experiment`.")
    value: dict[str, Any] = read_json(out / EXPERIMENT)
    return value


def compare(out: Path) -> dict[str, Any]:
    """Compare what is evaluated so far in the folder of an experiment, see `comparison.compare`.

    An ablation has `switches` beside the cells, prompts of different perplexity have `prompts` and `relations`.
    """
    experiment = load(out)
    found = comparison.compare(experiment, out)
    if switches := ablation.rows(found):
        found["switches"] = switches
    if rungs := prompt_ladder.rungs(comparison.Steps(experiment["steps"]), found):
        found |= {"prompts": rungs, "relations": prompt_ladder.relations(rungs)}
    return found
