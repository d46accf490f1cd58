"""The append-only log: who did what when."""

from __future__ import annotations

from typing import Any

from webapp.models import Event, Project, User


def record(verb: str, *, project: Project | None, actor: User | None, **facts: Any) -> Event:
    """Add a row. `verb` is a noun and a past verb, `upload.imported`; `facts` are small and hold no document text."""
    return Event.objects.create(verb=verb, project=project, actor=actor, facts=facts)
