"""Gives one verdict to all questions of a filter, or takes such an action back, batch by batch."""

from __future__ import annotations

from typing import Any

from webapp.jobs.attempt import Attempt
from webapp.models import BulkReview, Errand
from webapp.selectors.review_list import Filter, Found, matching
from webapp.services import review_bulk

_BATCH = 500  # questions of one transaction


def run(errand: Errand, attempt: Attempt) -> dict[str, Any]:
    """Carry out the bulk action `errand.subject`. Run again after a crash, it does what is left."""
    bulk = BulkReview.objects.select_related("project", "actor").filter(pk=errand.subject).first()
    if bulk is None:
        return {}
    return _take_back(bulk, attempt) if errand.kind == review_bulk.UNDO_KIND else _give(bulk, attempt)


def _give(bulk: BulkReview, attempt: Attempt) -> dict[str, Any]:
    chosen = Filter(**bulk.filters).open_to(bulk.verdict)
    given, reached = 0, 0
    while True:
        found = Found([], None)
        if chosen is not None:
            found = matching(bulk.project, bulk.batch, chosen, behind=reached, until=bulk.last, limit=_BATCH)
        with attempt.transaction():
            new = review_bulk.give_batch(bulk=bulk, ids=found.ids)
            if new is not None and found.reached is None:
                review_bulk.finish(bulk=bulk)
        if new is None:
            return {"questions": given, "taken_back": True}
        given += new
        if found.reached is None:
            return {"questions": given}
        reached = found.reached
        attempt.tick(given, 0, f"{given:,} questions have the verdict")


def _take_back(bulk: BulkReview, attempt: Attempt) -> dict[str, Any]:
    removed = 0
    while True:
        with attempt.transaction():
            number = review_bulk.take_back_batch(bulk=bulk, limit=_BATCH)
        removed += number
        if number < _BATCH:
            return {"questions": removed}
        attempt.tick(removed, bulk.questions, f"{removed:,} verdicts are taken back")
