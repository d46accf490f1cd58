"""Keeps the topics of a version of the documents, once they are found."""

from __future__ import annotations

from typing import Any

from webapp.errands.making_room import INDEX, Turn
from webapp.jobs.attempt import Attempt
from webapp.models import Corpus, Errand
from webapp.search import client
from webapp.search.following import follow
from webapp.services import topics
from webapp.services.errands import OPEN


def run(errand: Errand, attempt: Attempt) -> dict[str, Any]:
    """Store the topics of the version `errand.subject` in its project; nothing when nobody looks for them.

    Leaves it to the errand that indexes the version while that is open: it does the same at its end, and two that
    wait for the same take turns for nothing.
    """
    corpus = Corpus.objects.select_related("project").filter(pk=errand.subject).first()
    indexing = Errand.objects.filter(kind=INDEX, subject=errand.subject, state__in=OPEN)
    if corpus is None or indexing.exists() or not topics.is_current(corpus):
        return {}
    if not follow(corpus, client.TOPICS, Turn(attempt).report, begin=False):
        return {}
    found = client.topics(corpus)
    with attempt.transaction():
        topics.store(corpus=corpus, topics=found)
    return {"topics": len(found)}
