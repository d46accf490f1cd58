"""The pinned baseline: the experiment of a project that the others are compared with."""

from __future__ import annotations

from django.db import transaction

from webapp.models import Experiment, Project, User
from webapp.services import events


def pin(*, project: Project, experiment: Experiment | None, actor: User) -> None:
    """Pin an experiment of the project as its baseline, or (None) take the pin off."""
    assert experiment is None or experiment.project_id == project.pk
    if project.baseline_id == (experiment.pk if experiment else None):
        return
    with transaction.atomic():
        Project.objects.filter(pk=project.pk).update(baseline=experiment)
        number = experiment.number if experiment else 0
        verb = "project.baseline_pinned" if experiment else "project.baseline_unpinned"
        events.record(verb, project=project, actor=actor, experiment=number)
    project.baseline = experiment
