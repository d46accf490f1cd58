"""An upload on its way into a project: received, looked at, checked, decided on, imported.

Each step is one conditional UPDATE of the row, so that two people and a worker never take it twice.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from sptar_engine.errors import InputError
from webapp.models import Chunking, Errand, Project, State, Upload, User
from webapp.places import upload_folder
from webapp.reading.checking import PROBLEMS_FILE, Findings
from webapp.reading.sniffing import sniff
from webapp.selectors.uploads import latest_errand
from webapp.services import errands, events
from webapp.uploads import ReceivedFile

ORIGINAL = "original"
CHECK, IMPORT, DISCARD = "upload.check", "upload.import", "corpus.discard"

Stage = Upload.Stage
OPEN = (Stage.RECEIVED, Stage.MAPPING, Stage.CHECKING, Stage.QUESTION, Stage.IMPORTING)
"""Stages in which an upload still wants something, of a person or of a worker."""


class UploadMoved(InputError):
    """Somebody else, or a worker, has taken the upload further in the meantime."""


def receive(*, project: Project, file: ReceivedFile, actor: User) -> Upload:
    """Keep a file and guess what it is. Raises InputError, and keeps nothing, for what cannot be read at all."""
    found = sniff(Path(file.temporary_file_path()), file.name or "", unpacked_limit())
    file.sync()
    with transaction.atomic():
        upload = Upload(
            project=project, kind=found.kind, stage=Stage.MAPPING, name=(file.name or "upload")[-255:],
            bytes=file.size or 0, sha256=file.sha256, options=found.options, uploaded_by=actor,
        )  # fmt: skip
        upload.full_clean(exclude=["options", "problems", "counts"])
        upload.save()
        events.record("upload.received", project=project, actor=actor, **events.about_upload(upload))
        file.move_to(original_file(upload))
    return upload


def start_check(*, upload: Upload, kind: str, options: dict[str, Any], actor: User) -> None:
    """Take the person's choices and have the whole file read. `options` are checked by the form."""
    with transaction.atomic():
        _move(upload, [Stage.MAPPING], Stage.CHECKING, kind=kind, options=options, error="")
        upload.clean_fields(exclude=["options", "problems", "counts", "project", "uploaded_by"])
        _ask(CHECK, upload, actor)
        events.record(
            "upload.check_started", project=upload.project, actor=actor, **events.about_upload(upload), kind=kind
        )


def finish_check(*, upload: Upload, findings: Findings, found: dict[str, Any], actor: User | None) -> None:
    """Keep what a check found, and go on: import, ask the person, or refuse. Call it inside a fenced transaction."""
    stage = Stage.REFUSED if not findings.good else Stage.QUESTION if findings.bad else Stage.IMPORTING
    _move(
        upload, [Stage.CHECKING], stage,
        rows_good=findings.good, rows_bad=findings.bad, rows_changed=findings.changed,
        problems=findings.problems, counts=dict(findings.counts.most_common()),
        options={**upload.options, "found": found}, error=_nothing_good(findings),
    )  # fmt: skip
    if stage == Stage.IMPORTING:
        _ask(IMPORT, upload, actor)
    verb = "upload.refused" if stage == Stage.REFUSED else "upload.checked"
    events.record(
        verb, project=upload.project, actor=actor, **events.about_upload(upload), good=findings.good, bad=findings.bad
    )  # fmt: skip


def refuse(*, upload: Upload, reason: str, actor: User | None) -> None:
    """Refuse the whole file, with a sentence. Call it inside a fenced transaction."""
    _move(upload, [Stage.CHECKING], Stage.REFUSED, error=reason)
    events.record("upload.refused", project=upload.project, actor=actor, **events.about_upload(upload))


def import_good(*, upload: Upload, chunking: str, actor: User) -> None:
    """Import the good rows although there are bad ones."""
    with transaction.atomic():
        chosen = Chunking.NONE if upload.kind == Upload.Kind.BEIR else Chunking(chunking)
        options = {**upload.options, "chunking": chosen.value}
        _move(upload, [Stage.QUESTION], Stage.IMPORTING, options=options)
        _ask(IMPORT, upload, actor)
        events.record(
            "upload.accepted", project=upload.project, actor=actor, left_out=upload.rows_bad,
            **events.about_upload(upload),
        )  # fmt: skip


def finish_import(*, upload: Upload, error: str = "") -> None:
    """The import is through; `error` is what could not be taken over beside the documents."""
    _move(upload, [Stage.IMPORTING], Stage.DONE, error=error)


def reopen(*, upload: Upload, actor: User) -> None:
    """Back to the choices: another encoding, other columns."""
    with transaction.atomic():
        options = {name: value for name, value in upload.options.items() if name != "found"}
        _move(
            upload, [Stage.QUESTION, Stage.REFUSED], Stage.MAPPING,
            options=options, rows_good=0, rows_bad=0, rows_changed=0, problems=[], counts={}, error="",
        )  # fmt: skip
        events.record("upload.reopened", project=upload.project, actor=actor, **events.about_upload(upload))


def retry(*, upload: Upload, actor: User) -> None:
    """Ask again for the work that failed or was stopped on the page Jobs."""
    kind = {Stage.CHECKING: CHECK, Stage.IMPORTING: IMPORT}.get(Stage(upload.stage))
    if kind is None:
        raise UploadMoved("There is nothing to try again: the upload has gone on. Look at it once more.")
    with transaction.atomic():
        _ask(kind, upload, actor)
        events.record("upload.retried", project=upload.project, actor=actor, **events.about_upload(upload))


def cancel(*, upload: Upload, actor: User) -> None:
    """Give the upload up. Its files go; a version that was made of it before stays."""
    with transaction.atomic():
        done_before = upload.corpora.filter(ready=True).exists()
        work = list(
            Errand.objects.filter(
                kind__in=[CHECK, IMPORT], subject=upload.pk, state__in=[State.WAITING, State.QUEUED, State.RUNNING]
            ).select_related("project")
        )
        for errand in work:  # before the upload: a worker locks the two in this order
            errands.cancel(errand=errand, actor=actor)
        _move(upload, OPEN, Stage.DONE if done_before else Stage.CANCELLED)
        # An import that does not stop in time is killed before it has removed the rows it made.
        is_importing = any(errand.kind == IMPORT and errand.state == State.RUNNING for errand in work)
        if is_importing or upload.corpora.filter(ready=False).exists():
            errands.ask(kind=DISCARD, project=upload.project, subject=upload.pk, actor=actor)
        events.record("upload.cancelled", project=upload.project, actor=actor, **events.about_upload(upload))
        if not done_before:
            transaction.on_commit(partial(remove_files, upload))


def remove_files(upload: Upload) -> None:
    """Remove the uploaded file and what was made of it; the report of problems stays."""
    folder = upload_folder(upload)
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != PROBLEMS_FILE:
            path.unlink(missing_ok=True)


def original_file(upload: Upload) -> Path:
    """The file as it was uploaded."""
    return upload_folder(upload) / ORIGINAL


def unpacked_limit() -> int:
    """Bytes that may be read of one upload."""
    return int(settings.UNPACKED_LIMIT_MB) << 20


def _move(upload: Upload, before: Collection[Stage], after: Stage, **changes: Any) -> None:
    moved = Upload.objects.filter(pk=upload.pk, stage__in=before).update(stage=after, **changes)
    if not moved:
        raise UploadMoved(
            "This upload has gone on in the meantime, by another person or in another window. Look at it once more."
        )
    upload.refresh_from_db()


def _ask(kind: str, upload: Upload, actor: User | None) -> None:
    # An errand that was called off a moment ago may still be stopping, and only one can be open.
    last = latest_errand(upload)
    if last is not None and last.kind == kind and last.cancel_requested and not State(last.state).is_over:
        raise UploadMoved("The work that was stopped before is still ending. Try again in ten seconds.")
    errands.ask(kind=kind, project=upload.project, subject=upload.pk, actor=actor)


def _nothing_good(findings: Findings) -> str:
    if findings.good:
        return ""
    if not findings.bad:
        return "The file holds no documents. Choose the file that holds your documents."
    first = findings.problems[0]
    place = first["place"] or (f"line {first['line']}" if first["line"] else "the file")
    return (
        f"None of the {findings.bad:,} rows can be used, so nothing was imported. The first problem, in {place}: "
        f"{first['reason']}."
    )
