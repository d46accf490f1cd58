"""A step of an experiment, and the settings steps are made with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sptar_engine.arms import cell
from sptar_engine.configs import StageConfig, Value, build_config

DATASET = "dataset"
DECISIONS = "decisions"


@dataclass(frozen=True, slots=True)
class Step:
    """A stage to run for some arms. `inputs` maps a role to another step's id, or to `dataset` / `decisions`.

    `family` says which kind of retriever a step from training on is about; "" before.
    """

    step_id: str
    stage: str
    config: StageConfig
    inputs: Mapping[str, str]
    arms: tuple[str, ...]
    family: str = ""

    @property
    def cell(self) -> str:
        """The place in the table of arms and families, see `arms.cell`."""
        return cell(self.arms[0], self.family)


def changed(config: StageConfig, **values: Value) -> StageConfig:
    """The settings with some of them replaced. Raises ConfigError for a value out of range."""
    return build_config(config.STAGE, {**config.as_dict(), **values})


def setting(configs: Mapping[str, StageConfig], place: str) -> Value:
    """The value of `STAGE.FIELD`."""
    stage, _, field = place.partition(".")
    return configs[stage].as_dict()[field]
