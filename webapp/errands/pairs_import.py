"""Reads a large file of examples: checks it, or imports what the person has accepted."""

from __future__ import annotations

from typing import Any

from webapp.jobs.attempt import Attempt
from webapp.models import Errand, Upload
from webapp.services import pairs


def run(errand: Errand, attempt: Attempt) -> dict[str, Any]:
    """Take the upload `errand.subject` as far as it goes without a person."""
    upload = Upload.objects.select_related("project", "project__corpus").filter(pk=errand.subject).first()
    if upload is None:
        return {}
    if upload.stage == Upload.Stage.CHECKING:
        pairs.check(
            upload=upload, tick=lambda done: _tick(attempt, done, 0, f"{done:,} rows read"), fence=attempt.transaction
        )
        return {"good": upload.rows_good, "bad": upload.rows_bad}
    if upload.stage == Upload.Stage.IMPORTING:
        total = upload.rows_good
        return pairs.import_rows(
            upload=upload, actor=errand.asked_by, fence=attempt.transaction,
            tick=lambda done: _tick(attempt, done, total, f"{done:,} of {total:,} pairs"),
        )  # fmt: skip
    return {}


def _tick(attempt: Attempt, done: int, total: int, message: str) -> None:
    attempt.tick(done, max(done, total), message)
