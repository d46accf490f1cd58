"""`manage.py worker gpu cpu`: does the jobs of these queues, one at a time."""

from __future__ import annotations

import signal
import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import connections
from redis.exceptions import RedisError

from webapp.jobs.worker import SptarWorker, make_worker

_PAUSE = 2.0  # seconds before Redis is tried again


class Command(BaseCommand):
    """Run a worker until SIGTERM; it then gives its work back to the queue and ends within 30 seconds."""

    help = "Do the jobs of one or more queues (gpu, cpu, short), the first queue first."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Name the queues."""
        parser.add_argument("queues", nargs="+", choices=sorted(settings.RQ_QUEUES))
        parser.add_argument("--burst", action="store_true", help="end when the queues are empty")

    def handle(self, *args: Any, **options: Any) -> None:
        """Work, and begin anew when Redis was away."""
        del args
        connections.close_all()  # a fork must not inherit one
        stop = _Stop()
        while not stop.asked:
            worker = None
            try:
                worker = make_worker(options["queues"])
                stop.worker = worker
                worker.work(burst=options["burst"], with_scheduler=False, logging_level="INFO")
            except RedisError as error:
                self.stderr.write(f"Redis cannot be reached ({type(error).__name__}); trying again.")
            if options["burst"] or stop.asked:
                break
            stop.listen()  # rq put its own handlers in place
            time.sleep(_PAUSE)


class _Stop:
    """Whether this process was asked to end, be it by rq's handler or between two workers."""

    def __init__(self) -> None:
        self._asked = False
        self.worker: SptarWorker | None = None
        self.listen()

    @property
    def asked(self) -> bool:
        return self._asked or (self.worker is not None and self.worker.should_stop)

    def listen(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def _ask(self, number: int, frame: object) -> None:
        del number, frame
        self._asked = True
