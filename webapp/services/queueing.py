"""Puts work into the queue, and says it to Redis once the row is committed.

The row is the truth: Redis holds no more than "look at row 17, attempt 2". When Redis cannot be reached the row stays
queued and `manage.py reconcile` says it again later.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

import django_rq
from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now
from redis.exceptions import RedisError
from rq.exceptions import DuplicateJobError

from webapp.models import Errand, StageRun, State, Work

_log = logging.getLogger(__name__)

_SPARE = 300  # seconds that rq waits longer than the worker's own time limit, which is the one that counts
_KEEP_DONE = 60  # seconds that rq keeps a job that is over; nobody reads it
_KEEP_FAILED = 24 * 3600  # seconds, for whoever looks into Redis


def requeue(work: Work, *states: State, **changes: Any) -> bool:
    """Move a row from one of `states` into the queue under a new attempt; False when it is not there any more.

    The update names the attempt, so that of several processes that want this exactly one succeeds.
    """
    rows = _rows(work).filter(attempt=work.attempt, state__in=states)
    moved = rows.update(
        state=State.QUEUED,
        attempt=F("attempt") + 1,
        queued_at=Now(),
        owner="",
        lease_until=None,
        **changes,
    )
    if moved:
        work.refresh_from_db()
        enqueue_on_commit(work)
    return moved == 1


def enqueue_on_commit(work: Work) -> None:
    """Tell Redis of a queued row once the transaction is through. Nothing is told of one that is rolled back."""
    transaction.on_commit(partial(enqueue, work))


def enqueue(work: Work) -> bool:
    """Tell Redis of a queued row. False when Redis cannot be reached; telling it twice does no harm."""
    task, limit = ("run_stage", settings.STAGE_TIMEOUT) if isinstance(work, StageRun) else (
        "run_errand", settings.ERRAND_TIMEOUT
    )  # fmt: skip
    try:
        django_rq.get_queue(work.queue, commit_mode="auto").enqueue_call(
            f"webapp.tasks.{task}",
            args=(work.pk, work.attempt),
            job_id=work.job_id,
            unique=True,
            description=work.job_id,  # rq writes the description to its log: numbers only
            timeout=limit + _SPARE,
            result_ttl=_KEEP_DONE,
            failure_ttl=_KEEP_FAILED,
        )
    except DuplicateJobError:
        return True
    except RedisError as error:
        _log.warning("The queue cannot be reached (%s); %s waits for it.", type(error).__name__, work.job_id)
        return False
    return True


def _rows(work: Work) -> QuerySet[Any]:
    model = StageRun if isinstance(work, StageRun) else Errand
    return model.objects.filter(pk=work.pk)
