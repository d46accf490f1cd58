"""What the pages of an upload show."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import OuterRef, Subquery
from django.db.models.expressions import Combinable

from webapp.models import Errand, Project, State, Upload
from webapp.selectors.queues import wait_of

DOCUMENT_KINDS = (
    Upload.Kind.JSONL, Upload.Kind.TABLE, Upload.Kind.TEXTS, Upload.Kind.BEIR, Upload.Kind.PDF, Upload.Kind.DOCX,
)  # fmt: skip
"""Kinds that hold documents; the others hold examples and have pages of their own."""

WORKING = (Upload.Stage.CHECKING, Upload.Stage.IMPORTING)
"""Stages in which an errand works on an upload, or has failed to."""

_ERRANDS = ("upload.check", "upload.import")
_ON_THE_WAY = (
    Upload.Stage.RECEIVED, Upload.Stage.MAPPING, Upload.Stage.CHECKING, Upload.Stage.QUESTION, Upload.Stage.IMPORTING,
)  # fmt: skip
_RECENT = 20


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the work on an upload is. `share` is a percentage, None while nothing is known."""

    state: str
    message: str
    share: int | None
    error: str
    is_over: bool


def latest_errand(upload: Upload) -> Errand | None:
    """The work on an upload that was asked for last."""
    rows = Errand.objects.filter(project=upload.project_id, kind__in=_ERRANDS, subject=upload.pk)
    return rows.order_by("-id").first()


def errand_states(*, project: Combinable, upload: Combinable) -> Subquery:
    """The state of the latest errand on an upload, as a column; both are references to the query around it."""
    rows = Errand.objects.filter(project=project, kind__in=_ERRANDS, subject=upload)
    return Subquery(rows.order_by("-id").values("state")[:1])


def progress(upload: Upload) -> Progress:
    """Where the check or the import of an upload stands."""
    errand = latest_errand(upload)
    if errand is None:
        return Progress("", "Waiting to begin", None, "", False)
    share = min(100, round(100 * errand.done / errand.total)) if errand.total else None
    message = wait_of(errand) or errand.message or "Beginning"
    error = "It was stopped before it was done." if errand.state == State.CANCELLED else errand.error
    return Progress(errand.state, message, share, error, State(errand.state) in (State.FAILED, State.CANCELLED))


def on_the_way(project: Project) -> list[Upload]:
    """Uploads of documents that still want something, newest first. `stuck` is how the work on one ended, if it did."""
    rows = project.uploads.filter(kind__in=DOCUMENT_KINDS, stage__in=_ON_THE_WAY)
    rows = rows.annotate(errand=errand_states(project=OuterRef("project"), upload=OuterRef("pk")))
    found = list(rows.only("name", "stage", "kind", "project_id").order_by("-id")[:_RECENT])
    for one in found:
        is_stuck = one.stage in WORKING and one.errand in (State.FAILED, State.CANCELLED)
        one.stuck = one.errand if is_stuck else ""
    return found


def recent(project: Project) -> list[Upload]:
    """The last uploads of documents, for the list of versions."""
    rows = project.uploads.filter(kind__in=DOCUMENT_KINDS).select_related("uploaded_by").defer("problems", "options")
    return list(rows.order_by("-id")[:_RECENT])


def same_file(upload: Upload) -> Upload | None:
    """An earlier upload of the same bytes that is in use or was."""
    rows = Upload.objects.filter(project=upload.project_id, sha256=upload.sha256, stage=Upload.Stage.DONE)
    return rows.exclude(pk=upload.pk).order_by("-id").first()
