"""Writes the sample dataset and uploads it into a sample project."""

from __future__ import annotations

from typing import Any

from sptar_engine.errors import StageError
from webapp.errands.disk import told_when_full
from webapp.jobs.attempt import Attempt
from webapp.models import Errand
from webapp.services import sample


def run(errand: Errand, attempt: Attempt) -> dict[str, Any]:
    """Upload into `errand.project`. Redone from its beginning when it was killed."""
    if errand.project is None or errand.asked_by is None:
        raise StageError("The project, or the person who asked for the sample, is gone.")
    attempt.tick(0, 1, "Writing the sample dataset from this machine's Python")
    with told_when_full(), sample.archive() as path, attempt.transaction():
        upload = sample.upload_archive(path, errand.project, errand.asked_by)
    return {"upload": upload.pk if upload else 0}
