"""An attempt without a worker, and uploads that have arrived."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import transaction

from sptar_engine.errors import Cancelled, StaleAttempt
from webapp.errands import upload_check, upload_import
from webapp.models import Corpus, Errand, Project, Upload, User
from webapp.services import uploads
from webapp.uploads import ReceivedFile, _temporary_file


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


Receive = Callable[..., Upload]


@pytest.fixture
def attempt() -> FakeAttempt:
    return FakeAttempt()


@pytest.fixture
def receive(project: Project, owner: User) -> Receive:
    """Return `receive(bytes, name)`: an upload that waits for choices."""

    def make(raw: bytes, name: str = "corpus.jsonl") -> Upload:
        path = _temporary_file()
        path.write_bytes(raw)
        with ReceivedFile(path, name=name, size=len(raw)) as file:
            file.sha256 = hashlib.sha256(raw).hexdigest()
            return uploads.receive(project=project, file=file, actor=owner)

    return make


@pytest.fixture
def checked(receive: Receive, owner: User) -> Callable[..., Upload]:
    """Return `checked(bytes, name, **options)`: an upload whose check has run."""

    def make(raw: bytes, name: str = "corpus.jsonl", **options: Any) -> Upload:
        upload = receive(raw, name)
        chosen = {**upload.options, **options}
        uploads.start_check(upload=upload, kind=upload.kind, options=chosen, actor=owner)
        run_errand("upload.check", upload)
        upload.refresh_from_db()
        return upload

    return make


@pytest.fixture
def imported(checked: Callable[..., Upload]) -> Callable[..., Corpus]:
    """Return `imported(bytes, name, **options)`: the version that an import made."""

    def make(raw: bytes, name: str = "corpus.jsonl", **options: Any) -> Corpus:
        upload = checked(raw, name, **options)
        run_errand("upload.import", upload)
        return Corpus.objects.get(upload=upload, ready=True)

    return make


def run_errand(kind: str, upload: Upload, attempt: Any = None) -> dict[str, Any]:
    """Do the open errand of a kind, without a worker."""
    errand = Errand.objects.filter(kind=kind, subject=upload.pk).latest("id")
    run = {"upload.check": upload_check.run, "upload.import": upload_import.run}[kind]
    metrics = run(errand, attempt or FakeAttempt())
    Errand.objects.filter(pk=errand.pk).update(state="done")
    return metrics
