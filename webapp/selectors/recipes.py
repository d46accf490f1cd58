"""How an experiment was made: what differs from the defaults, on which data and machine, and as a command."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sptar_engine.configs import CONFIGS
from sptar_engine.experiment import merge
from sptar_engine.presets import PRESETS
from webapp.forms.options import written
from webapp.models import Experiment, StageRun, State
from webapp.planning import asked_for
from webapp.selectors.artifacts import value_of
from webapp.selectors.words import arm_name, family_name, preset_name, stage_name

_BY_MACHINE = frozenset({"dtype", "threads"})
_YOU = "you"


@dataclass(frozen=True, slots=True)
class Setting:
    """An option with its value. `by` is the preset, you or the machine where it differs from the default."""

    stage: str
    option: str
    value: Any
    default: Any
    help: str
    by: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """For the section Settings."""

    preset: str
    arms: list[str]
    families: list[str]
    changed: list[Setting]
    every: list[Setting]
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    command: str


def recipe_of(experiment: Experiment, stages: Sequence[StageRun]) -> Recipe:
    """Everything that is needed to do the experiment again elsewhere."""
    changed = [
        _setting(stage, option, value, _who(experiment, stage, option, value))
        for stage, values in experiment.settings.items()
        for option, value in values.items()
        if stage in CONFIGS and option in CONFIGS[stage].__dataclass_fields__
    ]
    configs = {stage.stage: stage.config for stage in reversed(stages)}
    every = [
        _setting(stage, option, value, "the machine" if option in _BY_MACHINE else "")
        for stage in CONFIGS
        for option, value in configs.get(stage, {}).items()
        if option in CONFIGS[stage].__dataclass_fields__  # a row may be of an older version
    ]
    return Recipe(
        preset=preset_name(experiment.preset),
        arms=[arm_name(arm) for arm in experiment.arms],
        families=[family_name(family) for family in experiment.families],
        changed=[one for one in changed if one.value != one.default or one.by == _YOU],
        every=every,
        machine=experiment.machine,
        versions=_versions(experiment, stages),
        command=command_of(experiment),
    )


def command_of(experiment: Experiment) -> str:
    """The experiment on the command line, to be run in the data folder.

    The command takes the preset as it is today, so what an older one did not set has its default named.
    """
    place = f"projects/{experiment.project.slug}"
    words = [
        "sptar", "experiment", f"{place}/datasets/{experiment.dataset}", "--preset", experiment.preset,
        "--arms", ",".join(experiment.arms), "--families", ",".join(experiment.families),
        "--seeds", str(experiment.seeds), "--out", f"{place}/by-hand-{experiment.number}",
    ]  # fmt: skip
    if experiment.equal_pairs:
        words.append("--equal-pairs")
    if experiment.decisions:
        words += ["--decisions", f"{place}/decisions/{experiment.decisions}.jsonl"]
    own = asked_for(experiment.preset, experiment.settings)
    for stage, values in merge(_set_since(experiment), own).items():
        for option, value in values.items():
            words += ["--set", f"{stage}.{option}={written(value)}"]
    return shlex.join(words)


def _set_since(experiment: Experiment) -> dict[str, dict[str, Any]]:
    """The defaults of what today's preset sets, where the experiment was started without it."""
    preset = PRESETS[experiment.preset].settings if experiment.preset in PRESETS else {}
    return {
        stage: {
            option: CONFIGS[stage].__dataclass_fields__[option].default
            for option in values
            if option not in experiment.settings.get(stage, {})
        }
        for stage, values in preset.items()
    }


def _setting(stage: str, option: str, value: Any, by: str) -> Setting:
    spec = CONFIGS[stage].__dataclass_fields__[option]
    return Setting(stage_name(stage), option, value, spec.default, spec.metadata["help"], by)


def _who(experiment: Experiment, stage: str, option: str, value: Any) -> str:
    preset = PRESETS[experiment.preset].settings if experiment.preset in PRESETS else {}
    return "the preset" if preset.get(stage, {}).get(option) == value else _YOU


def _versions(experiment: Experiment, stages: Sequence[StageRun]) -> Mapping[str, str]:
    """Of the packages that computed the newest finished stage."""
    for stage in reversed(stages):
        if stage.state == State.DONE:
            return (value_of(experiment.project, stage, "result.json") or {}).get("versions", {})
    return {}
