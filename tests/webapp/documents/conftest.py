"""Uploads that have arrived, were checked, were imported."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from tests.webapp.documents.attempts import FakeAttempt, run_errand
from webapp.models import Corpus, Project, Upload, User
from webapp.services import uploads
from webapp.uploads import ReceivedFile, _temporary_file

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
