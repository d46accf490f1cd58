"""The only jobs that our workers run.

rq imports whatever dotted name it finds in Redis. Here a job names one of two functions, with two small numbers, and
carries nothing else that could be called: no callback, no webhook, no object.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rq.job import Job

TASKS = frozenset({"webapp.tasks.run_stage", "webapp.tasks.run_errand"})


class RefusedJob(Exception):
    """A job names something else than our two tasks."""


class SptarJob(Job):
    """A job that runs a function of webapp.tasks or nothing."""

    @property
    def func(self) -> Callable[..., Any]:
        """The task. Raises RefusedJob for anything else, before it is imported."""
        arguments = (*self.args, *self.kwargs.values())
        if self.func_name not in TASKS or self.instance is not None or not all(type(one) is int for one in arguments):
            raise RefusedJob(f"The job {self.id} names no task of ours and is not run.")
        return super().func  # type: ignore[no-any-return]

    def restore(self, raw_data: Any) -> Any:
        """Read a job from Redis without what may not be in it."""
        restored = super().restore(raw_data)
        self._success_callback_name = self._failure_callback_name = self._stopped_callback_name = None
        self.webhooks = []
        self.retries_left = self.repeats_left = None
        return restored
