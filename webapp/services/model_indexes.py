"""Having a trained search model made ready to be tried in the playground."""

from __future__ import annotations

from django.db import transaction

from webapp.models import Errand, Experiment, User
from webapp.selectors.trained_models import NotTrainedError, TrainedModel, find_model
from webapp.selectors.words import arm_name
from webapp.services import errands, events

KIND = "model.index"

_UNASKED = 20_000  # documents up to which it is done when nobody has asked: a quarter of an hour on two cores


def prepare(*, found: TrainedModel, actor: User | None) -> Errand:
    """Have the documents indexed by a trained model, in the background. What is ready costs nothing."""
    project = found.experiment.project
    with transaction.atomic():
        is_open = Errand.objects.filter(kind=KIND, subject=found.stage.pk, state__in=errands.OPEN).exists()
        errand = errands.ask(kind=KIND, project=project, subject=found.stage.pk, actor=actor)
        if not is_open:
            facts = {"experiment": found.experiment.number, "model": arm_name(found.arm)}
            events.record("experiment.model_prepared", project=project, actor=actor, **facts)
    return errand


def prepare_packed(*, experiment: Experiment, arm: str) -> Errand | None:
    """The same for a model that was packed just now, where it does not take long; None where it does.

    A point of a learning curve is left until somebody wants to try it: it is trained for its figures.
    """
    corpus = experiment.project.corpus
    if experiment.series or corpus is None or not corpus.sha256 or corpus.documents > _UNASKED:
        return None
    try:
        found = find_model(experiment, arm)
    except NotTrainedError:
        return None
    # What is no sentence-transformers folder would only make an errand that fails.
    is_whole = (found.folder / "modules.json").is_file()
    return prepare(found=found, actor=None) if is_whole else None
