"""The engine's plan of an experiment as its row or the form has it: light, for forms, selectors and services alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sptar_engine.configs import Value
from sptar_engine.experiment import plan
from sptar_engine.presets import PRESETS
from sptar_engine.steps import Step

Settings = Mapping[str, Mapping[str, Value]]


def steps_of(
    *,
    preset: str,
    arms: Sequence[str],
    families: Sequence[str],
    settings: Settings,
    seeds: int,
    decisions: bool = False,
    equal_pairs: bool = False,
) -> tuple[Step, ...]:
    """The steps in an order that runs. Raises ConfigError.

    `settings` hold the preset's as they were at the start and what somebody asked for. An arm's own settings lie over
    the preset's, and what somebody asked for lies over both.
    """
    asked = asked_for(preset, settings)
    given = {
        stage: {name: value for name, value in values.items() if name not in asked.get(stage, {})}
        for stage, values in settings.items()
    }
    return plan(arms, given, families=families, seeds=seeds, decisions=decisions, asked=asked, equal_pairs=equal_pairs)


def asked_for(preset: str, settings: Settings) -> dict[str, dict[str, Value]]:
    """Those of the settings that are not the preset's, by stage."""
    base = PRESETS[preset].settings if preset in PRESETS else {}
    return {
        stage: {name: value for name, value in values.items() if base.get(stage, {}).get(name) != value}
        for stage, values in settings.items()
    }
