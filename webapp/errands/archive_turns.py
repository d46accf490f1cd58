"""Long encodings make room: there is one worker for all errands, and a person may look at the others."""

from __future__ import annotations

import time

from django.conf import settings

from sptar_engine.errors import StaleAttempt
from webapp.jobs.attempt import Attempt
from webapp.models import Errand, State
from webapp.services import queueing

_LEAST = 2048  # documents encoded before others get their turn: loading a model must pay, and finished parts are kept
_PATIENT = 60.0  # seconds
_LONGEST = 0.5  # of the time limit of an errand, after which it begins a new attempt


class Turns:
    """The time that one attempt has had."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._began = time.monotonic()
        self._first: int | None = None

    def tick(self, done: int, total: int, message: str) -> None:
        """Report, and go back into the queue when it is time: raises StaleAttempt then, Cancelled as Attempt.tick."""
        self._attempt.tick(done, total, message)
        if total and self._first is None:
            self._first = done
        if not total or self._first is None or done - self._first < _LEAST or not self._is_over():
            return
        self._attempt.flush()
        row = Errand.objects.get(pk=self._attempt.row.pk)
        if row.attempt == self._attempt.row.attempt and queueing.requeue(row, State.RUNNING, message="Goes on soon"):
            raise StaleAttempt("This attempt has made room for other work; the next one goes on.")

    def _is_over(self) -> bool:
        took = time.monotonic() - self._began
        waiting = Errand.objects.filter(state=State.QUEUED).exclude(pk=self._attempt.row.pk)
        return took >= _LONGEST * settings.ERRAND_TIMEOUT or (took >= _PATIENT and waiting.exists())
