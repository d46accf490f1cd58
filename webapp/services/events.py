"""The append-only log: who did what when."""

from __future__ import annotations

from typing import Any

from django.utils.text import Truncator

from webapp.models import Event, Project, Query, Upload, User

_SHOWN = 100  # characters of a question or a file name


def record(verb: str, *, project: Project | None, actor: User | None, **facts: Any) -> Event:
    """Add a row. `verb` is a noun and a past verb, `upload.imported`; `facts` are small and hold no document text."""
    return Event.objects.create(verb=verb, project=project, actor=actor, facts=facts)


def about_question(query: Query) -> dict[str, Any]:
    """The facts by which people recognise a question, as it read then."""
    return {"query": query.query_id, "text": Truncator(query.text).chars(_SHOWN)}


def about_upload(upload: Upload) -> dict[str, Any]:
    """The facts by which people recognise an upload."""
    return {"upload": upload.pk, "name": upload.name[:_SHOWN]}
