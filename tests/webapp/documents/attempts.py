"""Work of an upload without a worker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import transaction

from sptar_engine.errors import Cancelled, StaleAttempt
from webapp.errands import corpus_discard, upload_check, upload_import
from webapp.models import Errand, Upload


class FakeAttempt:
    """Does what webapp.jobs.attempt.Attempt does; breaks off at a chosen report or transaction."""

    def __init__(self) -> None:
        self.reports: list[tuple[int, int, str]] = []
        self.transactions = 0
        self.cancel_at = self.stale_at = self.killed_at = -1

    def tick(self, done: int, total: int, message: str = "", **numbers: Any) -> None:
        self.reports.append((done, total, message))
        if len(self.reports) == self.cancel_at:
            raise Cancelled("Stopped.")

    def should_stop(self) -> bool:
        return False

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.transactions += 1
        if self.transactions == self.killed_at:
            raise KeyboardInterrupt
        if self.transactions == self.stale_at:
            raise StaleAttempt("Another attempt owns this.")
        with transaction.atomic():
            yield


def run_errand(kind: str, upload: Upload, attempt: Any = None) -> dict[str, Any]:
    """Do the open errand of a kind, without a worker."""
    errand = Errand.objects.filter(kind=kind, subject=upload.pk).latest("id")
    works = {"upload.check": upload_check, "upload.import": upload_import, "corpus.discard": corpus_discard}
    run = works[kind].run
    metrics = run(errand, attempt or FakeAttempt())
    Errand.objects.filter(pk=errand.pk).update(state="done")
    return metrics
