"""Makes a version of the documents searchable: BM25's index, then the base encoder's vectors, then the topics."""

from __future__ import annotations

from typing import Any

from sptar_engine.errors import Cancelled
from webapp.errands.making_room import Turn
from webapp.jobs.attempt import Attempt, Stop
from webapp.models import Corpus, Errand
from webapp.search import client
from webapp.search.client import SearchUnavailable
from webapp.search.following import follow
from webapp.services import topics


def run(errand: Errand, attempt: Attempt) -> dict[str, Any]:
    """Have the version `errand.subject` indexed; nothing when it is gone.

    A version that is no longer the current one gets no vectors. When a person calls the errand off, the service stops
    building; when the worker stops, the service goes on and so does the next attempt.
    """
    corpus = Corpus.objects.select_related("project").filter(pk=errand.subject).first()
    if corpus is None:
        return {}
    turn = Turn(attempt)
    for what in (client.BM25, client.BASE, client.TOPICS):
        if what != client.BM25 and not topics.is_current(corpus):
            return {"superseded": 1}
        try:
            follow(corpus, what, turn.report)
        except Cancelled:
            if attempt.stop is Stop.CANCEL:
                _stop_building(corpus)
            raise
    found = client.topics(corpus)
    with attempt.transaction():
        topics.store(corpus=corpus, topics=found)
    return {"documents": corpus.documents, "topics": len(found)}


def _stop_building(corpus: Corpus) -> None:
    try:
        for what in (client.BM25, client.BASE, client.TOPICS):
            client.stop_building(corpus, what)
    except SearchUnavailable:
        return  # a service that is not there builds nothing
