"""Errands: asking for short work, and calling it off."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from webapp.models import Errand, Project, State, User
from webapp.services import events, queueing

OPEN = (State.WAITING, State.QUEUED, State.RUNNING)


def ask(
    *,
    kind: str,
    project: Project | None,
    subject: int = 0,
    actor: User | None,
    arguments: dict[str, Any] | None = None,
) -> Errand:
    """Return an errand of this kind on the row `subject`: the one that is open already, else a new one in the queue.

    `kind` is a name of webapp.errands.KINDS. Redis is told of it when the transaction commits.
    """
    found = _open_one(kind, subject)
    if found is not None:
        return found
    errand = Errand(
        kind=kind, project=project, subject=subject, arguments=arguments or {}, asked_by=actor,
        state=State.QUEUED, attempt=1, queued_at=Now(),
    )  # fmt: skip
    errand.clean_fields(exclude=["queued_at", "arguments", "metrics"])
    try:
        with transaction.atomic():
            errand.save(force_insert=True)
    except IntegrityError:  # somebody asked for the same between our look and our insert
        found = _open_one(kind, subject)
        if found is None:
            raise
        return found
    errand.refresh_from_db()
    queueing.enqueue_on_commit(errand)
    return errand


def cancel(*, errand: Errand, actor: User | None) -> None:
    """Call an errand off: at once when it has not begun, else within ten seconds."""
    with transaction.atomic():
        rows = Errand.objects.filter(pk=errand.pk)
        stopped = rows.filter(state__in=[State.WAITING, State.QUEUED]).update(
            state=State.CANCELLED, cancel_requested=Now(), finished_at=Now()
        )
        if not stopped:
            stopped = rows.filter(state=State.RUNNING, cancel_requested=None).update(cancel_requested=Now())
        if stopped:
            events.record("errand.cancelled", project=errand.project, actor=actor, kind=errand.kind, errand=errand.pk)
    errand.refresh_from_db()


def _open_one(kind: str, subject: int) -> Errand | None:
    return Errand.objects.filter(kind=kind, subject=subject, state__in=OPEN).first()
