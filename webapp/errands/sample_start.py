"""Starts the experiment of a sample project."""

from __future__ import annotations

from typing import Any

from sptar_engine.errors import StageError
from webapp.jobs.attempt import Attempt
from webapp.models import Errand
from webapp.services import sample
from webapp.services.experiments import NotReadyError


def run(errand: Errand, attempt: Attempt) -> dict[str, Any]:
    """Start it in `errand.project`, once."""
    if errand.project is None or errand.asked_by is None:
        raise StageError("The project, or the person who asked for the sample, is gone.")
    try:
        with attempt.transaction():
            experiment = sample.start_experiment(errand.project, errand.asked_by)
    except NotReadyError as error:
        raise StageError(str(error)) from error
    return {"experiment": experiment.number}
