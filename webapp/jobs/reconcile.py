"""Puts right what a crash left behind. Looks at our rows only, and asks Redis no more than whether a job is there.

Anything here may be done twice, by two processes at once or by one that is killed half-way.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import django_rq
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from redis.exceptions import RedisError

from webapp.jobs import leases
from webapp.jobs.attempt import TIDYING
from webapp.jobs.children import crash_sentence
from webapp.jobs.job_class import SptarJob
from webapp.models import Errand, Experiment, StageRun, State
from webapp.services import queueing, stages

_log = logging.getLogger(__name__)

_KINDS = (StageRun, Errand)


@dataclass
class Reconciler:
    """One pass after the other; `doubtful` are the queued rows whose job the last pass did not find in its queue.

    Such a job may just be on its way from the queue to a worker's claim, so only a second look moves it.
    """

    doubtful: set[str] = field(default_factory=set)

    def run(self) -> None:
        """Do one pass. Each part stands alone: what fails in one is for the next pass."""
        parts: tuple[Callable[[], None], ...] = (
            cancel_deleted, expire_leases, self.enqueue_lost, queue_waiting, settle_experiments,
        )  # fmt: skip
        for part in parts:
            try:
                part()
            except RedisError as error:
                _log.warning("Redis cannot be reached (%s); the queue waits.", type(error).__name__)

    def enqueue_lost(self) -> None:
        """Tell Redis again of queued rows that it has no live job for: it was down, restarted or flushed."""
        doubtful: set[str] = set()
        for work in _rows(State.QUEUED, lease_until=None):
            job_id = work.job_id
            queue = django_rq.get_queue(work.queue)
            if not SptarJob.exists(job_id, connection=queue.connection):
                queueing.enqueue(work)
            elif queue.connection.lpos(queue.key, job_id) is None:
                if job_id in self.doubtful:
                    _log.info("The job %s was lost on its way to a worker; queued again.", job_id)
                    queueing.requeue(work, State.QUEUED)
                else:
                    doubtful.add(job_id)
        self.doubtful = doubtful


def expire_leases() -> None:
    """Queue the next attempt at work whose process is gone: its lease ended and nobody renewed it."""
    for state in (State.RUNNING, State.QUEUED):
        for work in _rows(state, lease_until__lt=Now()):
            _expire(work)


def _expire(work: StageRun | Errand) -> None:
    with transaction.atomic():
        # Seen again under the lock: a slow process may have renewed its lease just now.
        rows = leases.rows_of(type(work)).select_for_update()
        seen = rows.filter(pk=work.pk, attempt=work.attempt, lease_until__lt=Now()).first()
        if seen is not None and leases.crash(seen, crash_sentence("no sign of life")):
            _log.info("%s held its lease no longer.", work.job_id)


def queue_waiting() -> None:
    """Queue steps whose inputs are done: the process that finished the last one may have died before it did so."""
    for experiment in _open_experiments().filter(project__deleted=None):
        stages.queue_ready(experiment)


def settle_experiments() -> None:
    """Bring experiments that are not over into line with their steps."""
    for experiment in _open_experiments():
        stages.settle(experiment)


def _open_experiments() -> QuerySet[Experiment]:
    return Experiment.objects.filter(state__in=[State.QUEUED, State.RUNNING])


def cancel_deleted() -> None:
    """Call off the work of deleted projects, except what clears them away."""
    steps = StageRun.objects.exclude(experiment__project__deleted=None)
    errands = Errand.objects.exclude(project__deleted=None).exclude(project=None).exclude(kind__in=TIDYING)
    kinds: tuple[QuerySet[StageRun] | QuerySet[Errand], ...] = (steps, errands)
    for rows in kinds:
        ids = rows.filter(state__in=[State.WAITING, State.QUEUED, State.RUNNING]).values_list("pk", flat=True)
        mine = rows.model.objects.filter(pk__in=list(ids))
        mine.filter(state__in=[State.WAITING, State.QUEUED]).update(state=State.CANCELLED, finished_at=Now())
        mine.filter(state=State.RUNNING, cancel_requested=None).update(cancel_requested=Now())


def _rows(state: State, **conditions: object) -> Iterator[StageRun | Errand]:
    for model in _KINDS:
        yield from leases.rows_of(model).filter(state=state, **conditions).order_by("queued_at", "pk")
