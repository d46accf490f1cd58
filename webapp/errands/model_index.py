"""Makes a trained search model ready to be tried: the documents indexed by it, and by the model it began with."""

from __future__ import annotations

from typing import Any

from sptar_engine.errors import Cancelled
from webapp.errands.making_room import Turn
from webapp.jobs.attempt import Attempt, Stop
from webapp.models import Corpus, Errand, StageRun, State
from webapp.search import client
from webapp.search.client import SearchUnavailable
from webapp.search.following import follow
from webapp.selectors.trained_models import TrainedModel


def run(errand: Errand, attempt: Attempt) -> dict[str, Any]:
    """Have the current documents indexed by the model of the train stage `errand.subject`; nothing when it is gone.

    When a person calls the errand off, the service stops encoding; when the worker stops, the service goes on.
    """
    rows = StageRun.objects.select_related("experiment", "experiment__project", "experiment__project__corpus")
    stage = rows.filter(pk=errand.subject, stage="train", state=State.DONE).exclude(folder="").first()
    corpus = stage.experiment.project.corpus if stage else None
    if stage is None or corpus is None:
        return {}
    corpus.project = stage.experiment.project
    found, turn = TrainedModel(stage, stage.cell), Turn(attempt)
    for what in found.searches:
        try:
            follow(corpus, what, turn.report)
        except Cancelled:
            if attempt.stop is Stop.CANCEL:
                _stop_building(corpus, what)
            raise
    return {"documents": corpus.documents}


def _stop_building(corpus: Corpus, what: str) -> None:
    try:
        client.stop_building(corpus, what)
    except SearchUnavailable:
        return  # a service that is not there builds nothing
