"""The event log in words, page by page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from webapp.event_words import VERBS, sentence
from webapp.models import Event, Project, User

PAGE = 50


@dataclass(frozen=True, slots=True)
class Line:
    """One event as people read it."""

    at: datetime
    who: str
    what: str
    verb: str
    kind: str


@dataclass(frozen=True, slots=True)
class Page:
    """Some events, newest first, and where the neighbours start."""

    lines: list[Line]
    older: int | None
    """`before` of the next page."""


def recent(project: Project, n: int) -> list[Line]:
    """The last `n` events of a project."""
    return [_line(event) for event in _events(project)[:n]]


def page(project: Project, *, before: int | None = None, actor: int | None = None, verb: str = "") -> Page:
    """A page of the log. `verb` is a verb or a noun with a dot (`member.`), as the filter offers them."""
    events = list(_filtered(project, before=before, actor=actor, verb=verb)[: PAGE + 1])
    return Page([_line(event) for event in events[:PAGE]], events[PAGE - 1].pk if len(events) > PAGE else None)


def all_lines(project: Project, *, actor: int | None = None, verb: str = "") -> Iterator[Line]:
    """All events that pass the filter, newest first, read in pieces."""
    for event in _filtered(project, before=None, actor=actor, verb=verb).iterator(chunk_size=2000):
        yield _line(event)


def people_of(project: Project) -> list[User]:
    """Members, and people who left something in the log."""
    ids = set(project.memberships.values_list("user_id", flat=True))
    ids |= set(Event.objects.filter(project=project, actor__isnull=False).values_list("actor_id", flat=True).distinct())
    return list(User.objects.filter(pk__in=ids).only("name", "email").order_by("name", "email"))


def _events(project: Project) -> Any:
    return Event.objects.filter(project=project).select_related("actor").order_by("-pk")


def _filtered(project: Project, *, before: int | None, actor: int | None, verb: str) -> Any:
    events = _events(project)
    if before is not None:
        events = events.filter(pk__lt=before)
    if actor is not None:
        events = events.filter(actor_id=actor)
    if verb:
        events = events.filter(verb=verb) if verb in VERBS else events.filter(verb__startswith=verb)
    return events


def _line(event: Event) -> Line:
    return Line(
        at=event.at,
        who=str(event.actor) if event.actor else "The app",
        what=sentence(event.verb, event.facts),
        verb=event.verb,
        kind=event.verb.partition(".")[0],
    )
