"""What each part is worth: the arm sptar against itself with one thing switched off, or on where it is off.

The soft prompt has no variant: without it the arm is `inpars`, which has the same candidate examples and filter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sptar_engine.arms import Variant, cell, read_cell
from sptar_engine.configs import StageConfig, TrainConfig, build_config
from sptar_engine.errors import ConfigError
from sptar_engine.experiment import merge
from sptar_engine.presets import Settings

ARM, WITHOUT_SOFT_PROMPT = "sptar", "inpars"
SOFT_PROMPT = "soft_prompt"


@dataclass(frozen=True, slots=True)
class Switch:
    """One thing to switch. `off` are the settings without it; `on` those with it, where the preset has it off."""

    name: str
    help: str
    off: Settings
    on: Settings


SWITCHES: dict[str, Switch] = {
    switch.name: switch
    for switch in (
        Switch(
            "selection",
            "examples chosen by perplexity, or one set at random",
            off={"select": {"candidates": 1, "take": 0}},
            on={"select": {"candidates": 12}},
        ),
        Switch(
            "filter",
            "queries that do not find their document are dropped, or all are kept but copies and duplicates",
            # The likeliest of all queries are all queries.
            off={"filter": {"method": "likelihood", "keep_share": 1.0}},
            on={"filter": {"method": "bm25"}},
        ),
        Switch(
            "negatives",
            "mined hard negatives, or only the other documents of a batch",
            off={"train": {"negatives": 0}},
            on={"train": {"negatives": 4}},
        ),
        Switch(
            "distillation",
            "a teacher's scores, or none",
            off={"teach": {"teacher": "none"}},
            on={"teach": {"teacher": "cross_encoder"}},
        ),
        Switch(
            "interpolation",
            "trained weights mixed with the base's, or the trained ones alone",
            off={"train": {"mixes": "1.0"}},
            on={"train": {"mixes": "0.5,1.0"}},
        ),
    )
}
NAMES = (SOFT_PROMPT, *SWITCHES)


def parse_switches(text: str) -> tuple[str, ...]:
    """Read `filter,negatives` into switches in their standing order. Raises ConfigError for an unknown one."""
    names = {name.strip() for name in text.split(",") if name.strip()}
    for name in sorted(names):
        if name not in NAMES:
            raise ConfigError("--switches", f"{name!r} is not a switch; choose from {', '.join(NAMES)}")
    if not names:
        raise ConfigError("--switches", f"name at least one switch of {', '.join(NAMES)}")
    return tuple(name for name in NAMES if name in names)


def variants(names: Sequence[str], settings: Settings) -> tuple[Variant, ...]:
    """The variant of `sptar` for each switch: `without_…` when the settings have the thing, else `with_…`."""
    return tuple(_variant(SWITCHES[name], settings) for name in names if name in SWITCHES)


def rows(comparison: Mapping[str, Any]) -> list[dict[str, Any]]:
    """By family and switch: the cells with and without it, and what it is worth, with minus without.

    `worth` is None for a cell that is not evaluated yet, and where `same` says that both cells are the same training:
    the switch changes nothing in that family. An experiment without such variants has no rows.
    """
    asked = [*comparison["arms"], *comparison["missing"]]
    found = []
    for name in asked:
        one = read_cell(name)
        base = cell(ARM, one.family)
        if one.arm == ARM and (pair := _pair(one.variant)):
            switch, is_on = pair
            found.append(_row(comparison, switch, one.family, *((name, base) if is_on else (base, name))))
    if found:  # an ablation
        for family in dict.fromkeys(row["family"] for row in found):
            hard = cell(WITHOUT_SOFT_PROMPT, family)
            if hard in asked:
                found.append(_row(comparison, SOFT_PROMPT, family, cell(ARM, family), hard))
    order = list(dict.fromkeys(row["family"] for row in found))
    return sorted(found, key=lambda row: (order.index(row["family"]), NAMES.index(row["switch"])))


def _variant(switch: Switch, settings: Settings) -> Variant:
    now = merge(settings)
    is_off = all(
        _read(build_config(stage, now[stage])) == _read(build_config(stage, {**now[stage], **values}))
        for stage, values in switch.off.items()
    )
    word, change = ("with", switch.on) if is_off else ("without", switch.off)
    return Variant(ARM, f"{word}_{switch.name}", change)


def _read(config: StageConfig) -> dict[str, Any]:
    """Settings to compare: shares of weights are equal as numbers, however they are written."""
    shares = {"mixes": config.shares} if isinstance(config, TrainConfig) else {}
    return {**config.as_dict(), **shares}


def _pair(variant: str) -> tuple[str, bool] | None:
    """The switch of a variant, and whether it is the one that has it on."""
    word, _, name = variant.partition("_")
    return (name, word == "with") if word in ("with", "without") and name in SWITCHES else None


def _row(comparison: Mapping[str, Any], switch: str, family: str, having: str, lacking: str) -> dict[str, Any]:
    arms = comparison["arms"]
    both = having in arms and lacking in arms
    same = both and _trainings(arms[having]) == _trainings(arms[lacking])
    return {
        "switch": switch, "family": family, "with": having, "without": lacking,
        "same": same, "worth": arms[having]["versus"][lacking] if both and not same else None,
    }  # fmt: skip


def _trainings(arm: Mapping[str, Any]) -> list[str]:
    return [training["step"] for training in arm.get("training", ())]
