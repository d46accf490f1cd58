"""Who works on a row: every step is one UPDATE that names the attempt and must hit exactly one row.

All times are the database's, so that a host whose clock jumps neither loses a lease nor takes one (T22).
"""

from __future__ import annotations

import os
import socket
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import DateTimeField, ExpressionWrapper, F, Q, QuerySet, Value
from django.db.models.functions import Greatest, Now

from webapp.models import Errand, StageRun, State, Work
from webapp.services import queueing

CRASHES = 3
"""So many attempts in a row that end without a word and get no further fail the work."""

_OPEN = (State.QUEUED, State.RUNNING)


def rows_of(model: type[Work]) -> QuerySet[Any]:
    """All rows of one of the two kinds of work."""
    return (StageRun if model is StageRun else Errand).objects.all()


def held(work: Work) -> QuerySet[Any]:
    """The row, as long as this attempt works on it: nothing, once another one or nobody does."""
    return rows_of(type(work)).filter(pk=work.pk, attempt=work.attempt, state=State.RUNNING)


def take(model: type[Work], pk: int, attempt: int) -> Work | None:
    """Start on a queued row: whoever takes it has a lease's time until a process of its own claims it.

    None when this attempt does not wait there, or somebody else is starting on it.
    """
    free = Q(lease_until=None) | Q(lease_until__lt=Now())
    rows = rows_of(model).filter(free, pk=pk, attempt=attempt, state=State.QUEUED)
    return rows_of(model).get(pk=pk) if rows.update(lease_until=_lease_end(), owner=_owner()) else None


def claim(model: type[Work], pk: int, attempt: int) -> Work | None:
    """Begin work on a queued row; None when this attempt does not wait there (done, called off, already running)."""
    taken = rows_of(model).filter(pk=pk, attempt=attempt, state=State.QUEUED).update(
        state=State.RUNNING, owner=_owner(), lease_until=_lease_end(), started_at=Now(), finished_at=None,
        error="", traceback="", message="",
    )  # fmt: skip
    return rows_of(model).get(pk=pk) if taken else None


def renew(work: Work, **changes: Any) -> bool:
    """Hold the row for another settings.LEASE_SECONDS, and write what is new; False when it is not ours any more."""
    return held(work).update(lease_until=_lease_end(), **changes) == 1


def finish(work: Work, **changes: Any) -> bool:
    """The work is done."""
    return _end(work, State.DONE, crashes=0, message="", **changes)


def fail(work: Work, error: str, traceback: str = "") -> bool:
    """The work could not be done; `error` is a sentence for the person who asked for it."""
    return _end(work, State.FAILED, error=error, traceback=traceback)


def cancel(work: Work) -> bool:
    """The work was called off and has stopped."""
    return _end(work, State.CANCELLED, message="")


def release(work: Work) -> bool:
    """Give unfinished work back: it waits in the queue and goes on where it stands, unless it was called off."""
    if rows_of(type(work)).filter(pk=work.pk).exclude(cancel_requested=None).exists():
        return cancel(work)
    return queueing.requeue(work, *_OPEN, restarts=F("restarts") + 1)


def crash(work: Work, reason: str) -> bool:
    """An attempt ended without a word: queue the next one, unless so many in a row came no further.

    `reason` is the sentence when it is given up.
    """
    row = rows_of(type(work)).filter(pk=work.pk, attempt=work.attempt, state__in=_OPEN).first()
    if row is None:
        return False
    if row.cancel_requested:
        return _rows(row).update(**_over(State.CANCELLED)) == 1
    crashes = 1 if row.done > row.reached else row.crashes + 1
    if crashes >= CRASHES:
        return _rows(row).update(**_over(State.FAILED), error=reason, crashes=crashes) == 1
    return queueing.requeue(
        row, *_OPEN, crashes=crashes, restarts=F("restarts") + 1, reached=Greatest("reached", "done")
    )


def _rows(row: Work) -> QuerySet[Any]:
    return rows_of(type(row)).filter(pk=row.pk, attempt=row.attempt, state__in=_OPEN)


def _end(work: Work, state: State, **changes: Any) -> bool:
    return held(work).update(**_over(state), **changes) == 1


def _over(state: State) -> dict[str, Any]:
    return {"state": state, "lease_until": None, "owner": "", "finished_at": Now()}


def _lease_end() -> ExpressionWrapper:
    seconds = Value(timedelta(seconds=settings.LEASE_SECONDS))
    return ExpressionWrapper(Now() + seconds, output_field=DateTimeField())


def _owner() -> str:
    return f"{socket.gethostname()[:80]} process {os.getpid()}"
