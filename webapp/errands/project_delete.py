"""Errand `project.delete`: removes a deleted project's rows in batches, then its files.

Each batch is a short transaction of its own with a pause after it, so that others write in between. Killed at any
point, it goes on when run again. Work of the project goes first: what still runs then is a stale attempt, whose
commits find no row of theirs.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.db.models import CASCADE, PROTECT, Model, Q, QuerySet
from django.db.models.functions import Now

from sptar_engine.errors import SptarError
from webapp import places
from webapp.jobs.attempt import Attempt
from webapp.models import Corpus, Errand, Project, StageRun, State
from webapp.search import client
from webapp.services import deletion

_log = logging.getLogger(__name__)

_BATCH = 5000  # rows of one transaction: about a tenth of a second of deleting documents
_REST = 0.5  # of a batch's own time: SQLite lets other writers in only between transactions
_LOOK_AGAIN = 1.0  # seconds


def run(errand: Errand, attempt: Attempt) -> dict[str, Any]:
    """Remove all of the project `errand.subject`. Raises SptarError when it was not deleted by a person."""
    project = Project.objects.filter(pk=errand.subject).first()
    rows = 0
    if project is not None:
        if project.deleted is None:
            raise SptarError(f"The project {project.slug} is not marked as deleted; nothing was removed.")
        deletion.stop_work(project)
        _wait_for_work(project, attempt)
        rows = _remove_rows(project, attempt)
    attempt.tick(rows, rows, "Removing files")
    _remove_files(str(errand.arguments["slug"]))
    return {"rows": rows}


def _wait_for_work(project: Project, attempt: Attempt) -> None:
    """Return when nothing of the project runs; what does not stop is left to its lease, and to the fence."""
    running = Q(state=State.RUNNING, lease_until__gt=Now())
    until = time.monotonic() + settings.LEASE_SECONDS
    while time.monotonic() < until and (
        StageRun.objects.filter(running, experiment__project=project).exists()
        or Errand.objects.filter(running, project=project).exists()
    ):
        attempt.tick(0, 0, "Waiting for running work to stop")
        time.sleep(_LOOK_AGAIN)


def _remove_rows(project: Project, attempt: Attempt) -> int:
    removed = 0
    for number in _all_rows(project, attempt):
        removed += number
        attempt.tick(removed, 0, "Removing rows")
    return removed


def _all_rows(project: Project, attempt: Attempt) -> Iterator[int]:
    yield from _empty(StageRun, Q(experiment__project=project), attempt)
    yield from _empty(Errand, Q(project=project), attempt)
    for corpus in Corpus.objects.filter(project=project).order_by("pk"):
        _forget(corpus)
        yield from _empty(Corpus, Q(pk=corpus.pk), attempt)
    yield from _empty(Project, Q(pk=project.pk), attempt)


def _forget(corpus: Corpus) -> None:
    """Have the search service remove a corpus's index: it keeps those that another corpus shares."""
    try:
        client.drop(corpus)
    except client.SearchUnavailable as error:
        _log.warning("The index of %s stays in the search cache, which may be emptied by hand: %s", corpus, error)


def _empty(model: type[Model], condition: Q, attempt: Attempt) -> Iterator[int]:
    """Delete rows and, before them, all rows that hang on them; yield the number of each batch."""
    # Plain QuerySets, because the event log's own refuses to delete.
    rows: QuerySet[Any] = QuerySet(model).filter(condition).order_by("pk")
    # Going up by key spares PostgreSQL the look at what was deleted before and is not vacuumed yet.
    last = 0
    while keys := list(rows.filter(pk__gt=last).values_list("pk", flat=True)[:_BATCH]):
        for child, field in _children(model):
            yield from _empty(child, Q(**{f"{field}__in": keys}), attempt)
        began = time.monotonic()
        with attempt.transaction():
            rows.filter(pk__gt=last, pk__lte=keys[-1]).delete()
        last = keys[-1]
        yield len(keys)
        time.sleep((time.monotonic() - began) * _REST)


def _children(model: type[Model]) -> list[tuple[type[Model], str]]:
    """Tables that point at a table and cannot do without the row, with the name of the field."""
    return [
        (relation.related_model, relation.field.name)
        for relation in model._meta.related_objects
        if relation.on_delete in (CASCADE, PROTECT) and relation.related_model is not model
    ]


def _remove_files(slug: str) -> None:
    """Remove the project's folder, under another name first: whoever still writes there finds it gone."""
    folder = places.project_folder(Project(slug=slug))
    doomed = folder.with_name(f"{slug}.deleted")
    if folder.exists():
        if doomed.exists():  # an earlier attempt was killed here
            shutil.rmtree(doomed)
        folder.rename(doomed)
    if doomed.exists():
        shutil.rmtree(doomed)
