"""Following a build of the search service without keeping the queue of errands to oneself.

The service does the work, so that the errand costs nothing while it waits; but encoding may take hours, and there is
one worker for all errands. It goes back into the queue when others wait, and comes back later.
"""

from __future__ import annotations

import time

from django.conf import settings

from sptar_engine.errors import StaleAttempt
from webapp.jobs.attempt import Attempt
from webapp.models import Errand, State
from webapp.services import queueing

INDEX, TOPICS, MODEL = "corpus.index", "corpus.topics", "model.index"

_POLITE = 5.0  # seconds that other errands wait: a person looks at them
_PATIENT = 60.0  # seconds that another collection's index waits
_LONGEST = 0.5  # of the time limit of an errand, after which it begins a new attempt
_MESSAGE = "Goes on in the background"


class Turn:
    """The time that one attempt has had."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._began = time.monotonic()

    def report(self, done: int, total: int, message: str) -> None:
        """Report progress, and make room when it is time.

        Raises Cancelled as `Attempt.tick`, and StaleAttempt when the errand went back into the queue.
        """
        self._attempt.tick(done, total, message)
        if not self._is_over():
            return
        self._attempt.flush()
        row = Errand.objects.get(pk=self._attempt.row.pk)
        if row.attempt == self._attempt.row.attempt and queueing.requeue(row, State.RUNNING, message=_MESSAGE):
            raise StaleAttempt("This attempt has made room for other work; the next one goes on.")

    def _is_over(self) -> bool:
        took = time.monotonic() - self._began
        if took < _POLITE:
            return False
        waiting = Errand.objects.filter(state=State.QUEUED).exclude(pk=self._attempt.row.pk)
        return (
            waiting.exclude(kind__in=[INDEX, TOPICS, MODEL]).exists()
            or (took >= _PATIENT and waiting.exists())
            or took >= _LONGEST * settings.ERRAND_TIMEOUT
        )
