"""Removes what an import has left that was called off and killed before it could tidy up."""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.db.models.functions import Now

from webapp.jobs.attempt import Attempt
from webapp.models import Errand, State, Upload
from webapp.services import corpora, uploads

_LOOK_AGAIN = 1.0  # seconds


def run(errand: Errand, attempt: Attempt) -> dict[str, Any]:
    """Remove the unfinished versions of the upload `errand.subject`, unless it is being imported again."""
    upload = Upload.objects.select_related("project").filter(pk=errand.subject).first()
    if upload is None:
        return {}
    _wait_for_import(upload, attempt)
    # Looked up before the stage: a version that is begun from here on belongs to an import that goes on.
    left = corpora.unfinished(upload)
    upload.refresh_from_db(fields=["stage"])
    if upload.stage == Upload.Stage.IMPORTING:
        return {}
    corpora.discard(left, attempt.transaction)
    if upload.stage == Upload.Stage.CANCELLED:
        uploads.remove_files(upload)
    return {"versions": len(left)}


def _wait_for_import(upload: Upload, attempt: Attempt) -> None:
    """Return when the import has stopped; one that was called off ends within ten seconds."""
    stopping = Errand.objects.filter(
        kind=uploads.IMPORT,
        subject=upload.pk,
        state=State.RUNNING,
        lease_until__gt=Now(),
        cancel_requested__isnull=False,
    )
    until = time.monotonic() + settings.LEASE_SECONDS
    while time.monotonic() < until and stopping.exists():
        attempt.tick(0, 0, "Waiting for the import to stop")
        time.sleep(_LOOK_AGAIN)
