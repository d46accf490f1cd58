"""The worker: rq's forking one, without what our database knows better, and steady when Redis is not."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import uuid
from collections.abc import Sequence

from django_rq.queues import get_queues
from redis.client import Pipeline
from redis.exceptions import RedisError
from rq import Queue, Worker
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.utils import now
from rq.worker_registration import clean_worker_registry, register

from webapp.jobs.job_class import SptarJob
from webapp.jobs.parents import die_with

_TTL = 45  # seconds; rq waits 15 less for a job before it shows again that it listens


class SptarWorker(Worker):
    """Forks for each job. The fork dies with the worker, and a worker that stops asks it to stop too."""

    should_stop = False

    def request_stop(self, signum: int, frame: object) -> None:
        """Stop after the work at hand, which is asked to stop and goes back into the queue."""
        self.should_stop = True
        super().request_stop(signum, frame)

    def handle_warm_shutdown_request(self) -> None:
        """Ask the fork to stop; it asks its own process."""
        if self.horse_pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.horse_pid, signal.SIGTERM)

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """Fork, the signals held back until the fork knows what to do with them."""
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        try:
            super().fork_work_horse(job, queue)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        """Be the fork: bound to the worker's life before anything else."""
        self._bind()
        super().main_work_horse(job, queue)

    def setup_work_horse_signals(self) -> None:
        """Let Ctrl-C reach the worker alone. SIGTERM before the work has begun ends the fork at once."""
        super().setup_work_horse_signals()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run one job in a fork of this very process."""
        self._bind = die_with(os.getpid())
        super().execute_job(job, queue)

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """Show that the worker listens, also to a Redis that has forgotten it."""
        super().heartbeat(timeout, pipeline)
        connection = self.connection if pipeline is None else pipeline
        connection.hset(self.key, mapping=self.serialize())
        register(self, connection)

    def maintain_heartbeats(self, job: Job) -> None:
        """Tell Redis that the work goes on. The lease in the database counts, so a silent Redis does no harm."""
        try:
            super().maintain_heartbeats(job)
        except RedisError as error:
            self.log.warning("Redis cannot be reached (%s); the work goes on.", type(error).__name__)

    def clean_registries(self) -> None:
        """Forget workers that are gone. Lost jobs are the business of `manage.py reconcile`, not of rq's registries."""
        for queue in self.queues:
            clean_worker_registry(queue)

    def run_maintenance_tasks(self) -> None:
        """Do no more than clean_registries."""
        self.clean_registries()
        self.last_cleaned_at = now()

    def subscribe(self) -> None:
        """Listen to no commands: whoever can write to Redis could stop a worker. It keeps the parent at one thread."""

    def unsubscribe(self) -> None:
        """Nothing was subscribed to."""


def make_worker(queues: Sequence[str]) -> SptarWorker:
    """A worker for these queues, the first one first. Its name tells host and process."""
    found = get_queues(*queues, job_class=SptarJob)
    name = f"{socket.gethostname()[:60]}.{os.getpid()}.{uuid.uuid4().hex[:6]}"
    return SptarWorker(
        found, name=name, connection=found[0].connection, job_class=SptarJob, queue_class=type(found[0]),
        serializer=JSONSerializer, worker_ttl=_TTL,
    )  # fmt: skip
