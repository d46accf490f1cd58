"""The queues in words: who listens, who waits where, and what a waiting row waits for."""

from __future__ import annotations

from dataclasses import dataclass, field

import django_rq
from django.conf import settings
from redis.exceptions import RedisError
from rq import Worker

from webapp.models import Errand, StageRun, State

DOES = {
    "gpu": "steps with a model",
    "cpu": "steps without a model",
    "short": "uploads and indexes",
}
"""What each queue is for."""


@dataclass(frozen=True, slots=True)
class QueueView:
    """Workers and waiting jobs as they are now. `reachable` is False while Redis cannot be asked."""

    reachable: bool
    workers: dict[str, list[str]] = field(default_factory=dict)
    """Names of the workers that listen, by queue."""
    places: dict[str, int] = field(default_factory=dict)
    """Place in its queue, from 1, by job id."""

    def position(self, work: StageRun | Errand) -> int | None:
        """A queued row's place, 1 for the next one; None when it is not in the queue (yet)."""
        return self.places.get(work.job_id)

    def sentence(self, work: StageRun | Errand) -> str:
        """What a row waits for; empty when it does not wait in a queue."""
        if work.state != State.QUEUED:
            return ""
        if not self.reachable:
            return "Waiting for the queue: it cannot be reached right now, and the work starts by itself once it can."
        missing = self.missing(work.queue)
        if missing:
            return missing
        ahead = (self.position(work) or 0) - 1
        if ahead < 0:
            return "Waiting for the queue: a worker is about to take it."
        return "Next in the queue." if ahead == 0 else f"In the queue; {ahead} before it."

    def missing(self, queue: str) -> str:
        """A sentence when nobody listens on a queue, else empty."""
        if not self.reachable or self.workers.get(queue):
            return ""
        return (
            f"No worker is listening on the {queue} queue, which is for {DOES[queue]}. "
            f"The person who runs this machine can start one: manage.py worker {queue}"
        )


def wait_of(work: StageRun | Errand) -> str:
    """What a queued row waits for, in a sentence."""
    return queue_view().sentence(work)


def queue_view() -> QueueView:
    """Ask Redis once, in a few milliseconds."""
    try:
        connection = django_rq.get_connection("gpu")
        workers: dict[str, list[str]] = {name: [] for name in settings.RQ_QUEUES}
        for worker in Worker.all(connection=connection):
            for name in worker.queue_names():
                workers.setdefault(name, []).append(worker.name)
        places = {
            waiting: place
            for name in settings.RQ_QUEUES
            for place, waiting in enumerate(django_rq.get_queue(name).job_ids, 1)
        }
    except RedisError:
        return QueueView(reachable=False)
    return QueueView(True, workers, places)
