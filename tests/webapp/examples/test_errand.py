"""The errand that reads large files of examples."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from sptar_engine.errors import StaleAttempt
from webapp.errands import pairs_import
from webapp.jobs.attempt import Attempt
from webapp.models import Corpus, Errand, Judgement, Project, Upload
from webapp.services import pairs


@pytest.fixture
def upload(client: Client, project: Project, corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> Upload:
    """A file that waits for its check."""
    monkeypatch.setattr(pairs, "IN_REQUEST", 10)
    file = SimpleUploadedFile("pairs.csv", b"query,doc_id\nfirst question,d1\nsecond question,nowhere\n")
    client.post(f"/p/{project.slug}/examples/import/", {"file": file})
    return Upload.objects.get()


def work() -> tuple[Errand, Attempt]:
    errand = Errand.objects.latest("pk")
    attempt = Attempt.claim(Errand, errand.pk, errand.attempt)
    assert attempt is not None
    return errand, attempt


def test_it_checks_and_then_imports_what_was_accepted(client: Client, project: Project, upload: Upload) -> None:
    assert pairs_import.run(*work()) == {"good": 1, "bad": 1}
    upload.refresh_from_db()
    assert (upload.stage, upload.counts) == ("question", {"Document that is not in this project": 1})
    Errand.objects.update(state="done")
    client.post(f"/p/{project.slug}/examples/import/{upload.pk}/accept/")
    made = pairs_import.run(*work())
    assert (made["questions"], made["pairs"]) == (1, 1)
    assert pairs_import.run(*_again()) == {}
    assert Judgement.objects.count() == 1


def _again() -> tuple[Errand, Attempt]:
    errand = Errand.objects.latest("pk")
    return errand, Attempt(errand)


def test_a_stale_attempt_writes_nothing(upload: Upload) -> None:
    errand, attempt = work()
    Errand.objects.update(attempt=7)
    with pytest.raises(StaleAttempt):
        pairs_import.run(errand, attempt)
    upload.refresh_from_db()
    assert upload.stage == "checking"
