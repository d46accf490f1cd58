"""An experiment asked for by a program: the form of the page, filled in from values that have types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from django.core.exceptions import ValidationError

from sptar_engine.arms import BI_ENCODER
from webapp.forms.experiments import USUAL_ARMS, ExperimentForm
from webapp.forms.options import options, written
from webapp.models import Experiment, Project, User
from webapp.selectors.models import encoders, language_models
from webapp.services import experiments


@dataclass(frozen=True, slots=True)
class Order:
    """What an experiment is to do. `settings` are options by stage and name; models that are empty are the first ones.

    The baselines always take part, whatever `arms` says.
    """

    preset: str = "balanced"
    arms: Sequence[str] = USUAL_ARMS
    families: Sequence[str] = (BI_ENCODER,)
    llm: str = ""
    base: str = ""
    seeds: int = 1
    equal_pairs: bool = False
    name: str = ""
    note: str = ""
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def form_of(order: Order) -> ExperimentForm:
    """The form of the page, filled in and checked; it may hold errors. Raises ValidationError for unknown options."""
    known = {(option.stage, option.name): option.field for option in options()}
    data: dict[str, Any] = {}
    for stage, values in order.settings.items():
        for name, value in values.items():
            if (stage, name) not in known:
                raise ValidationError({"settings": f"There is no option {stage[:40]}.{name[:40]}."})
            data[known[stage, name]] = written(value)
    llms, bases = ([(model.name, model.label) for model in models] for models in (language_models(), encoders()))
    firsts = {field: menu[0][0] for field, menu in (("llm", llms), ("base", bases)) if menu}
    data |= firsts | {field: value for field, value in (("llm", order.llm), ("base", order.base)) if value}
    data |= {
        "preset": order.preset, "arms": list(order.arms), "families": list(order.families), "seeds": order.seeds,
        "equal_pairs": order.equal_pairs, "name": order.name, "note": order.note, "after": 0,
    }  # fmt: skip
    return ExperimentForm(data, language_models=llms, encoders=bases)


def place(*, project: Project, actor: User, order: Order, request_token: str = "") -> Experiment:
    """Start the experiment. A second call of the person with the same token returns the first one's.

    Raises ValidationError by field, and NotReadyError as `experiments.start` does.
    """
    form = form_of(order)
    if not form.is_valid():
        raise ValidationError(errors_of(form))
    data = form.cleaned_data
    return experiments.start(
        project=project, actor=actor, request_token=own_token(actor, request_token), preset=data["preset"],
        arms=form.chosen_arms(data), families=data["families"], settings=form.settings, seeds=data["seeds"],
        equal_pairs=data["equal_pairs"], name=data["name"], note=data["note"],
    )  # fmt: skip


def errors_of(form: ExperimentForm) -> dict[str, list[str]]:
    """The sentences of a form by field; what is about the whole stands at `settings`."""
    return {name.replace("__all__", "settings"): list(texts) for name, texts in form.errors.items()}


def own_token(actor: User, text: str) -> str:
    """The stored form of a person's request token: another person's equal one is another request."""
    return sha256(f"{actor.pk}:{text}".encode(errors="replace")).hexdigest()
