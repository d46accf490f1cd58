"""What the address of the playground says: the question, and which trained model answers it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.http import urlencode

from sptar_engine.data.lines import clean_text
from webapp.models import Project
from webapp.selectors.trained_models import NotTrainedError, TrainedModel, find_model, trained_models

LONGEST = 2000
"""Characters of a question."""
_DIGITS = 9  # of an experiment's number; what is longer is none


@dataclass(frozen=True, slots=True)
class Choice:
    """A question and a model. `missing` says that the address names a model that is not there."""

    text: str
    models: list[TrainedModel]
    model: TrainedModel | None
    missing: bool

    @property
    def values(self) -> dict[str, str]:
        """The address's values, by which somebody else sees the same."""
        named = {"run": str(self.model.experiment.number), "arm": self.model.arm} if self.model else {}
        return {**({"q": self.text} if self.text else {}), **named}

    @property
    def query_string(self) -> str:
        """The same as a query string."""
        return urlencode(self.values)


def choice_of(project: Project, values: Mapping[str, str]) -> Choice:
    """Read `q`, `run` and `arm`, or `model` (`3.sptar`) from a form. Else the first of `trained_models`."""
    models = trained_models(project)
    run, arm = values.get("run", ""), values.get("arm", "")
    if values.get("model"):
        run, _, arm = values["model"].partition(".")
    named = [one for one in models if str(one.experiment.number) == run and arm in ("", one.arm)]
    if run and arm and not named:
        named = _beyond_the_list(project, run, arm)
        models = [*models, *named]
    text = " ".join(clean_text(values.get("q", "")[: 2 * LONGEST])[0].split())[:LONGEST]
    return Choice(text, models, (named or models or [None])[0], missing=bool(run) and not named)


def _beyond_the_list(project: Project, run: str, arm: str) -> list[TrainedModel]:
    """The model of an address that is not among the newest; none when there is no such model."""
    if not (run.isascii() and run.isdecimal() and len(run) <= _DIGITS):
        return []
    experiment = project.experiments.filter(number=int(run)).first()
    try:
        return [find_model(experiment, arm)] if experiment else []
    except NotTrainedError:
        return []
