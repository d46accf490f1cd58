"""Taking a step of the labelling back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import IntegrityError, models, transaction
from django.utils import timezone

from webapp.chunks import chunks
from webapp.models import Decision, Judgement, Project, Query, User
from webapp.services import events
from webapp.services.decisions import TABLES, Conflict, digest, follow, lock, present, rows_of

Changes = Mapping[str, Sequence[Sequence[Any]]]

_ORDER = ("query", "judgement", "skipped")  # a judgement needs its question


def undo(*, project: Project, decision: Decision, actor: User) -> list[int]:
    """Put the rows of a step back as they were. Returns the questions, those that are there, which it was about.

    Raises Conflict, having changed nothing, when it was taken back already or the rows were changed since.
    """
    try:
        with transaction.atomic():
            lock(project)
            if not Decision.objects.filter(pk=decision.pk, undone=None).update(undone=timezone.now()):
                raise Conflict("This step was taken back already.")
            changes: Changes = decision.before
            _check_untouched(changes, decision)
            queries = sorted(_queries(changes))
            before = rows_of(queries)
            for table in reversed(_ORDER):
                _remove(table, changes.get(table, ()))
            for table in _ORDER:
                _restore(table, changes.get(table, ()), project)
            follow(project, before, rows_of(queries))
            events.record("example.undone", project=project, actor=actor, step=decision.label)
    except IntegrityError:
        raise Conflict(
            "This step cannot be taken back: a question with the same text has been written since. "
            "Delete that one first."
        ) from None
    return [pk for some in chunks(queries) for pk in Query.objects.filter(pk__in=some).values_list("pk", flat=True)]


def _check_untouched(changes: Changes, decision: Decision) -> None:
    for table, rows in changes.items():
        now = present(table, [pk for pk, _, _ in rows])
        for pk, _, after in rows:
            if (digest(table, now[pk]) if pk in now else None) != after:
                raise Conflict(
                    f"“{decision.label}” cannot be taken back: it was changed again since, by you or by somebody else. "
                    "Take later steps back first, or change it by hand."
                )
    made = [pk for pk, before, _ in changes.get("query", ()) if before is None]
    own = {pk for pk, _, _ in changes.get("judgement", ())}
    for some in chunks(made):
        if not own.issuperset(Judgement.objects.filter(query_id__in=some).values_list("pk", flat=True)):
            raise Conflict(f"“{decision.label}” cannot be taken back: its questions were judged since.")


def _queries(changes: Changes) -> set[int]:
    """Ids of the questions whose counters may change."""
    touched = {pk for pk, _, _ in changes.get("query", ())}
    touched |= {before["query_id"] for _, before, _ in changes.get("judgement", ()) if before}
    for some in chunks(pk for pk, before, _ in changes.get("judgement", ()) if not before):
        touched |= set(Judgement.objects.filter(pk__in=some).values_list("query_id", flat=True))
    return touched


def _remove(table: str, rows: Sequence[Sequence[Any]]) -> None:
    """Delete what the step made."""
    for some in chunks(pk for pk, before, _ in rows if before is None):
        TABLES[table].filter(pk__in=some).delete()


def _restore(table: str, rows: Sequence[Sequence[Any]], project: Project) -> None:
    """Write back what the step changed or deleted. Revisions go on, so that an older page is known to be old."""
    for some in chunks(row for row in rows if row[1] is not None):
        now = present(table, [pk for pk, _, _ in some])
        back = [_model(table, before, now.get(pk), project) for pk, before, _ in some]
        TABLES[table].bulk_create([row for row in back if row.pk not in now])
        fields = [name for name in some[0][1] if name not in ("id", "created")]
        TABLES[table].bulk_update([row for row in back if row.pk in now], fields, batch_size=100)


def _model(table: str, before: Mapping[str, Any], now: Mapping[str, Any] | None, project: Project) -> models.Model:
    values = dict(before)
    if "revision" in values:
        values["revision"] = (now or before)["revision"] + 1
    if table == "query":
        values["created"] = datetime.fromisoformat(before["created"])
    if table in ("query", "skipped"):
        values["project_id"] = project.pk
    return TABLES[table].model(**values)
