"""An upload that a person gave up while a worker was at it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sptar_engine.errors import Cancelled, SptarError
from webapp.jobs.attempt import Attempt
from webapp.models import Upload
from webapp.services import corpora, uploads


@contextmanager
def cleared_when_given_up(upload: Upload, attempt: Attempt) -> Iterator[None]:
    """Work on an upload in the stage it has now. When a person ends that stage, remove what the work has made.

    Files vanish under the work then, so any error of it means only that it was called off.
    """
    try:
        yield
    except (SptarError, OSError) as error:
        found = Upload.objects.filter(pk=upload.pk).first()
        if found is None or found.stage == upload.stage:
            raise
        corpora.discard_unfinished(found, attempt.transaction)
        if found.stage == Upload.Stage.CANCELLED:
            uploads.remove_files(found)
        raise Cancelled("The upload was given up.") from error
