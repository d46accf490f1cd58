"""The advanced options of a new experiment: the engine's settings with their bounds and help, as form fields."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django import forms

from sptar_engine.configs import CONFIGS, Value
from sptar_engine.presets import PRESETS
from webapp.experiment_words import PRESET_WORDS

_LONGEST = 500  # characters of an option

MIRRORED = {
    "train.max_length": (
        "filter.max_length", "mine.max_length", "teach.max_length", "fuse.max_length", "evaluate.max_length",
    ),
    "train.dev_pool": ("fuse.dev_pool",),
    "train.rerank_depth": ("teach.rerank_depth", "evaluate.rerank_depth"),
    "evaluate.k1": ("fuse.k1",),
    "evaluate.b": ("fuse.b",),
    "prepare.min_grade": ("evaluate.min_grade",),
}  # fmt: skip
"""Options that take the value of another one: by the engine's rule, or since a text has one length wherever it is read.
"""

# Not on the form: chosen above it (models, families), decided by the machine or by the family, or equal to another one.
_HIDDEN = frozenset(
    {"dtype", "threads", "train.family", "evaluate.retriever", *(one for some in MIRRORED.values() for one in some)}
)


@dataclass(frozen=True, slots=True)
class Option:
    """An advanced option: a setting of the engine and the name of its field here."""

    stage: str
    name: str
    field: str
    help: str
    default: Value
    allowed: str
    in_presets: str

    @property
    def default_words(self) -> str:
        """The default as a person reads it."""
        return shown(self.default)


def written(value: object) -> str:
    """An option as the form takes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def shown(value: object) -> str:
    """An option as a person reads it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value) or "nothing"


def options() -> Iterator[Option]:
    """The advanced options in the engine's order."""
    for stage, config in CONFIGS.items():
        for spec in dataclasses.fields(config):
            place = f"{stage}.{spec.name}"
            if spec.metadata["model"] or spec.name in _HIDDEN or place in _HIDDEN:
                continue
            yield Option(
                stage, spec.name, f"{stage}-{spec.name}", spec.metadata["help"], spec.default,
                _allowed(spec), _in_presets(stage, spec.name),
            )  # fmt: skip


def field_of(option: Option) -> forms.Field:
    """The field of an option; empty means: as the preset says."""
    spec = CONFIGS[option.stage].__dataclass_fields__[option.name]
    label = option.name.replace("_", " ")
    if choices := (("true", "false") if spec.type == "bool" else spec.metadata["choices"]):
        menu = [("", f"as the preset says ({option.default_words})"), *((choice, _menu(choice)) for choice in choices)]
        return forms.ChoiceField(label=label, choices=menu, required=False, help_text=option.help)
    # Text, not a number field: the engine reads the value and says what is allowed.
    attributes = {"placeholder": str(option.default), "autocomplete": "off"}
    if spec.type in ("int", "float"):
        attributes["inputmode"] = "numeric" if spec.type == "int" else "decimal"
    return forms.CharField(
        label=label, required=False, max_length=_LONGEST, help_text=option.help, widget=forms.TextInput(attributes)
    )


def _menu(choice: str) -> str:
    """What a choice of a menu is called."""
    return {"true": "yes", "false": "no"}.get(choice, choice.replace("_", " "))


def purpose_of(stage: str) -> str:
    """The first sentence of what the engine says of a stage's settings."""
    first, _, _ = (CONFIGS[stage].__doc__ or "").strip().partition(".")
    return f"{' '.join(first.split())}."


def _allowed(spec: dataclasses.Field[Any]) -> str:
    low, high = spec.metadata["low"], spec.metadata["high"]
    if low is None and high is None:
        return ""
    return f"{low:,g} to {high:,g}" if low is not None and high is not None else ""


def _in_presets(stage: str, name: str) -> str:
    """How the presets differ from the default, in words."""
    found = [
        f"{PRESET_WORDS[preset.name].name} {shown(preset.settings[stage][name])}"
        for preset in PRESETS.values()
        if name in preset.settings.get(stage, {})
    ]
    return ", ".join(found)
