"""A step of an experiment, and the settings steps are made with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sptar_engine.arms import cell
from sptar_engine.configs import StageConfig, Value, build_config

MEASURING = "evaluate"
DATASET = "dataset"
DECISIONS = "decisions"


@dataclass(frozen=True, slots=True)
class Step:
    """A stage to run for some arms. `inputs` maps a role to another step's id, or to `dataset` / `decisions`.

    `family` says which kind of retriever a step from training on is about, and `variant` which variant of its arm;
    "" where it does not matter. `equal` are the filter steps of which the smallest number of kept pairs limits
    `train.weak_limit`, a number that is only known when they are done (see `experiment.settled`).
    """

    step_id: str
    stage: str
    config: StageConfig
    inputs: Mapping[str, str]
    arms: tuple[str, ...]
    family: str = ""
    variant: str = ""
    equal: tuple[str, ...] = ()

    @property
    def cell(self) -> str:
        """The place in the table of arms and families, see `arms.cell`."""
        return cell(self.arms[0], self.family, self.variant)


def changed(config: StageConfig, **values: Value) -> StageConfig:
    """The settings with some of them replaced. Raises ConfigError for a value out of range."""
    return build_config(config.STAGE, {**config.as_dict(), **values})


def setting(configs: Mapping[str, StageConfig], place: str) -> Value:
    """The value of `STAGE.FIELD`."""
    stage, _, field = place.partition(".")
    return configs[stage].as_dict()[field]


def shared(steps: Iterable[Step]) -> tuple[Step, ...]:
    """The steps in their order, each piece of work once, for all arms that asked for it.

    Two steps are the same work when stage, settings and inputs are; the first one's id stands for both. Measuring is
    never shared: each cell of a table has its own.
    """
    kept: dict[str, Step] = {}
    made: dict[Any, str] = {}  # the id of a piece of work
    known_as: dict[str, str] = {}  # the id that stands for a step's own
    for step in steps:
        inputs = {role: known_as.get(source, source) for role, source in step.inputs.items()}
        equal = tuple(dict.fromkeys(known_as.get(source, source) for source in step.equal))
        work = (step.stage, step.config, frozenset(inputs.items()), equal)
        if (found := made.get(work)) and (step.stage != MEASURING or found == step.step_id):
            known_as[step.step_id] = found
            arms = tuple(dict.fromkeys((*kept[found].arms, *step.arms)))
            kept[found] = replace(kept[found], arms=arms)
        else:
            made.setdefault(work, step.step_id)
            kept[step.step_id] = replace(step, inputs=inputs, equal=equal)
    return tuple(kept.values())
