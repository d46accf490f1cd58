"""The form of a new experiment. Its advanced options come from the engine's settings, bounds and help included."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms

from sptar_engine.arms import ARMS, BI_ENCODER, FAMILIES, STANDARD_ARMS, parse_families
from sptar_engine.configs import Value, build_config
from sptar_engine.errors import ConfigError
from sptar_engine.experiment import everywhere, merge
from sptar_engine.presets import PRESETS, Settings
from sptar_engine.steps import Step
from webapp.experiment_words import ARM_WORDS, FAMILY_WORDS, PRESET_WORDS, STAGE_WORDS, Words
from webapp.forms.options import MIRRORED, Option, field_of, options, purpose_of, written
from webapp.models import Experiment
from webapp.planning import steps_of

BASELINES = ("bm25", "zero_shot")
"""Arms that always take part: without them a result says nothing."""

CHOSEN_ARMS = tuple(name for name in ARMS if name not in BASELINES)
USUAL_ARMS = tuple(name for name in CHOSEN_ARMS if name in STANDARD_ARMS)
"""What takes part besides the baselines unless somebody chooses."""

_OF_ARMS = {
    stage: {name for arm in ARMS.values() for name in arm.settings.get(stage, {})}
    for arm in ARMS.values()
    for stage in arm.settings
}
"""Options that an arm has settings of its own for, by stage: a default that somebody chose lies over these."""

MAX_SEEDS = 5

Model = tuple[str, str]  # name and the line that describes it


class ExperimentForm(forms.Form):
    """What a new experiment is to do. `settings` and `steps` are there after validation."""

    preset = forms.ChoiceField(
        label="How thorough",
        choices=[(name, PRESET_WORDS[name].name) for name in PRESETS],
        widget=forms.RadioSelect({"class": "form-check-input"}),
    )
    arms = forms.MultipleChoiceField(
        label="Compared with the baselines",
        choices=[(name, ARM_WORDS[name].name) for name in CHOSEN_ARMS],
        widget=forms.CheckboxSelectMultiple({"class": "form-check-input"}),
        required=False,
    )
    families = forms.MultipleChoiceField(
        label="Kinds of search models",
        choices=[(name, FAMILY_WORDS[name].name) for name in FAMILIES],
        widget=forms.CheckboxSelectMultiple({"class": "form-check-input"}),
        error_messages={"required": "Choose at least one kind of search model."},
    )
    equal_pairs = forms.BooleanField(
        label="Compare them at equal numbers of generated questions, too",
        required=False,
        help_text="Filters keep more questions of one way of asking than of another. This trains each way that writes "
        "questions once more on as many as the one with the fewest has: one more training of each.",
    )
    llm = forms.ChoiceField(label="Question writer")
    base = forms.ChoiceField(label="Base search model")
    seeds = forms.IntegerField(
        label="Repeats of each training",
        min_value=1,
        max_value=MAX_SEEDS,
        help_text="1 to 5. Three show how much chance there is in the result, and take three times the training.",
    )
    name = forms.CharField(label="Name", max_length=100, required=False)
    note = forms.CharField(
        label="Note", max_length=5000, required=False, widget=forms.Textarea({"rows": 2}),
        help_text="What you want to find out. It stays with the results.",
    )  # fmt: skip
    after = forms.IntegerField(min_value=0, widget=forms.HiddenInput)
    """Number of the newest experiment when the page was made: two tabs that ask for the same get one experiment."""

    def __init__(
        self, data: Mapping[str, Any] | None, *, language_models: list[Model], encoders: list[Model], **kwargs: Any
    ) -> None:
        """`data` without a choice of models takes the first ones: it is what a new form starts with."""
        super().__init__(data, **kwargs)
        for field, choices in (("llm", language_models), ("base", encoders)):
            menu = self.fields[field]
            assert isinstance(menu, forms.ChoiceField)
            menu.choices = choices
        for option in options():
            self.fields[option.field] = field_of(option)
        self.settings: dict[str, dict[str, Value]] = {}
        self.steps: tuple[Step, ...] = ()

    @property
    def preset_choices(self) -> list[tuple[Any, Words]]:
        """The radio buttons with what they mean."""
        return [(button, PRESET_WORDS[button.data["value"]]) for button in self["preset"]]

    @property
    def arm_choices(self) -> list[tuple[Any, Words]]:
        """The check boxes with what they mean."""
        return [(box, ARM_WORDS[box.data["value"]]) for box in self["arms"]]

    @property
    def family_choices(self) -> list[tuple[Any, Words]]:
        """The check boxes of the kinds of search models with what they mean."""
        return [(box, FAMILY_WORDS[box.data["value"]]) for box in self["families"]]

    @property
    def baselines(self) -> list[Words]:
        """What always takes part."""
        return [ARM_WORDS[arm] for arm in BASELINES]

    @property
    def advanced(self) -> list[tuple[str, str, list[tuple[Option, forms.BoundField]]]]:
        """The advanced options by stage: (name of the stage, what it does, its options with their fields)."""
        groups: dict[str, list[tuple[Option, forms.BoundField]]] = {}
        for option in options():
            groups.setdefault(option.stage, []).append((option, self[option.field]))
        return [(STAGE_WORDS[stage], purpose_of(stage), rows) for stage, rows in groups.items()]

    @property
    def has_advanced_choice(self) -> bool:
        """Whether an advanced option has a value or an error, so that the section must be open."""
        return any(self[option.field].errors or self[option.field].value() for option in options())

    def clean(self) -> dict[str, Any]:
        """Turn the fields into the engine's settings and the plan; an engine's error stands at its field."""
        data = dict(super().clean() or {})
        own = self._own_settings(data)
        if data.get("equal_pairs") and sum(ARMS[arm].generates for arm in data.get("arms", ())) < 2:
            self.add_error("equal_pairs", "Choose at least two ways of training that write questions, or leave it out.")
        if self.errors:
            return data
        preset = PRESETS[data["preset"]].settings
        asked = merge(
            preset,
            everywhere(model=data["llm"], language_model=data["llm"], base=data["base"]),
            own,
        )
        self._check(asked)
        if not self.errors:
            self.settings = _telling(asked, preset)
            self._plan(data)
        return data

    def chosen_arms(self, data: Mapping[str, Any]) -> tuple[str, ...]:
        """All arms in their standing order, baselines included."""
        wanted = {*BASELINES, *data.get("arms", ())}
        return tuple(name for name in ARMS if name in wanted)

    def clean_families(self) -> list[str]:
        """In their standing order, with the bi-encoder that a hybrid is made of."""
        return list(parse_families(",".join(self.cleaned_data["families"])))

    def _own_settings(self, data: Mapping[str, Any]) -> dict[str, dict[str, Value]]:
        """The advanced options that were filled in."""
        own: dict[str, dict[str, Value]] = {}
        for option in options():
            value = data.get(option.field)
            if value in (None, ""):
                continue
            own.setdefault(option.stage, {})[option.name] = value
            for mirror in MIRRORED.get(f"{option.stage}.{option.name}", ()):
                stage, _, name = mirror.partition(".")
                own.setdefault(stage, {})[name] = value
        return own

    def _plan(self, data: Mapping[str, Any]) -> None:
        """Plan the steps; what the engine refuses stands at its field, else above the form."""
        try:
            self.steps = steps_of(
                preset=data["preset"], arms=self.chosen_arms(data), families=data["families"],
                settings=self.settings, seeds=data["seeds"], equal_pairs=data["equal_pairs"],
            )  # fmt: skip
        except ConfigError as error:
            field = error.option.replace(".", "-")
            self.add_error(field if field in self.fields else None, _sentence(error))

    def _check(self, asked: Settings) -> None:
        """Let the engine check each stage; every wrong option gets its own sentence, not only the first."""
        for stage, values in asked.items():
            remaining = dict(values)
            while True:
                try:
                    build_config(stage, remaining)
                    break
                except ConfigError as error:
                    name = error.option.rpartition(".")[2]
                    field = f"{stage}-{name}"
                    self.add_error(field if field in self.fields else None, _sentence(error))
                    if remaining.pop(name, None) is None:
                        break


def first_choices(*, is_first: bool) -> dict[str, Any]:
    """What the form starts with: a first look for the first experiment, else the usual choice."""
    preset = "fast" if is_first else "balanced"
    return {"preset": preset, "arms": list(USUAL_ARMS), "families": [BI_ENCODER], "seeds": 1}


def choices_of(experiment: Experiment) -> dict[str, Any]:
    """The choices of an experiment, to start another one from."""
    found: dict[str, Any] = {
        "preset": experiment.preset,
        "arms": [arm for arm in experiment.arms if arm not in BASELINES],
        "families": list(experiment.families),
        "seeds": experiment.seeds,
        "equal_pairs": experiment.equal_pairs or None,
        "llm": experiment.settings.get("generate", {}).get("model"),
        "base": experiment.settings.get("train", {}).get("base"),
    }
    preset = PRESETS[experiment.preset].settings if experiment.preset in PRESETS else {}
    for option in options():
        value = experiment.settings.get(option.stage, {}).get(option.name)
        if value is not None and value != preset.get(option.stage, {}).get(option.name):
            found[option.field] = written(value) if isinstance(value, bool) else value
    return {name: value for name, value in found.items() if value is not None}


def _telling(asked: Settings, preset: Settings) -> dict[str, dict[str, Value]]:
    """Typed values that differ from the defaults, and those that the preset or an arm of its own sets, by stage."""
    kept: dict[str, dict[str, Value]] = {}
    for stage, values in asked.items():
        made = build_config(stage, values).as_dict()
        defaults = build_config(stage, {}).as_dict()
        ours = {*preset.get(stage, {}), *_OF_ARMS.get(stage, ())}
        telling = {name: made[name] for name in values if made[name] != defaults[name] or name in ours}
        if telling:
            kept[stage] = telling
    return kept


def _sentence(error: ConfigError) -> str:
    reason = error.reason[:1].upper() + error.reason[1:]
    return reason if reason.endswith(".") else f"{reason}."


class DescribeForm(forms.Form):
    """Name and note of an experiment."""

    name = forms.CharField(label="Name", max_length=100, required=False)
    note = forms.CharField(label="Note", max_length=5000, required=False, widget=forms.Textarea({"rows": 3}))
