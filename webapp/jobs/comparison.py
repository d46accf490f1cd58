"""Brings an experiment's folder up to date after a step, as `sptar experiment` would, and compares its arms."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sptar_engine import workspace
from sptar_engine.artifacts import write_json
from sptar_engine.configs import build_config
from sptar_engine.pipeline import StageResult
from sptar_engine.steps import Step
from webapp import places
from webapp.models import Experiment, StageRun, State


@contextmanager
def one_at_a_time(experiment: Experiment) -> Iterator[None]:
    """Own the experiment's folder: of two steps that finish at once the later comparison holds both."""
    folder = places.experiment_folder(experiment)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def compare(row: StageRun, result: StageResult) -> dict[str, Any]:
    """Write experiment.json with this step's result, and return the comparison of the arms evaluated so far.

    Empty when none is. To be called while `one_at_a_time`, before the step is called done.
    """
    experiment = row.experiment
    stages = list(experiment.stages.order_by("position"))
    store = places.store_folder(experiment.project) / "stages"
    results = {
        stage.step_id: StageResult(
            stage.stage,
            store / stage.folder,
            stage.metrics,
            stage.seconds or 0.0,
            stage.digest,
            stage.reused,
            stage.peak_mib,
        )
        for stage in stages
        if stage.state == State.DONE
    }
    results[row.step_id] = result
    about = {
        "dataset": experiment.project.name, "preset": experiment.preset, "arms": experiment.arms,
        "families": experiment.families, "settings": experiment.settings, "seeds": experiment.seeds,
        "equal_pairs": experiment.equal_pairs, "machine": experiment.machine,
    }  # fmt: skip
    steps = [step_of(stage) for stage in stages]
    folder = places.experiment_folder(experiment)
    workspace.record(folder, about, steps, results)
    if not any(step.stage == "evaluate" and step.step_id in results for step in steps):
        return {}
    comparison = workspace.compare(folder)
    write_json(folder / workspace.COMPARISON, comparison)
    return comparison


def step_of(row: StageRun) -> Step:
    """The step of the engine's plan that a row stands for. Raises ConfigError for settings that are not known now."""
    return Step(
        row.step_id, row.stage, build_config(row.stage, row.config), row.inputs, tuple(row.arms), row.family,
        row.variant, tuple(row.equal),
    )  # fmt: skip
