"""Browsers in which people are logged in: noted when they log in, now and then while they are used, and ended."""

from __future__ import annotations

import time
from collections import OrderedDict
from datetime import timedelta

from django.contrib.sessions.models import Session
from django.db import transaction
from django.utils import timezone

from webapp.models import OpenSession, User
from webapp.services import events

EVERY = timedelta(minutes=5)
"""How exactly `last_seen` is known: between two notes of it lies as much."""

_AGENT = 300  # characters
_REMEMBERED = 10_000  # sessions of which this process knows when it last noted them
_noted: OrderedDict[str, float] = OrderedDict()


@transaction.atomic
def opened(*, user: User, session_key: str, agent: str) -> None:
    """Somebody logged in. Forgets the person's sessions that have run out."""
    alive = Session.objects.filter(expire_date__gt=timezone.now()).values("session_key")
    OpenSession.objects.filter(user=user).exclude(session_key__in=alive).delete()
    now = timezone.now()
    OpenSession.objects.update_or_create(
        session_key=session_key,
        defaults={"user": user, "agent": _plain(agent), "created": now, "last_seen": now},
    )
    _remember(session_key)


def seen(*, user: User, session_key: str, agent: str) -> None:
    """Note that a session is in use, at most once in EVERY; between two notes no query is made."""
    if time.monotonic() - _noted.get(session_key, float("-inf")) < EVERY.total_seconds():
        return
    _remember(session_key)
    now = timezone.now()
    row, is_new = OpenSession.objects.get_or_create(
        session_key=session_key, defaults={"user": user, "agent": _plain(agent)}
    )
    if not is_new:
        OpenSession.objects.filter(pk=row.pk, last_seen__lt=now - EVERY).update(last_seen=now)


def moved(*, before: str, after: str) -> None:
    """A session has got another key, as it does when its person gets another password."""
    OpenSession.objects.filter(session_key=before).update(session_key=after)
    _remember(after)


def closed(*, session_key: str) -> None:
    """Somebody logged out."""
    OpenSession.objects.filter(session_key=session_key).delete()


@transaction.atomic
def end(*, session: OpenSession) -> None:
    """Log a browser out."""
    Session.objects.filter(session_key=session.session_key).delete()
    OpenSession.objects.filter(pk=session.pk).delete()
    events.record("person.ended_sessions", project=None, actor=session.user, count=1)


@transaction.atomic
def end_others(*, user: User, keep: str) -> int:
    """Log out every browser of a person but the one with the session `keep`; returns how many there were."""
    rows = OpenSession.objects.filter(user=user).exclude(session_key=keep)
    keys = list(rows.values_list("session_key", flat=True))
    if not keys:
        return 0
    Session.objects.filter(session_key__in=keys).delete()
    rows.filter(session_key__in=keys).delete()
    events.record("person.ended_sessions", project=None, actor=user, count=len(keys))
    return len(keys)


def _remember(session_key: str) -> None:
    _noted[session_key] = time.monotonic()
    _noted.move_to_end(session_key)
    while len(_noted) > _REMEMBERED:
        _noted.popitem(last=False)


def _plain(agent: str) -> str:
    """What a browser says of itself, without what no text column takes."""
    return agent.replace("\0", "")[:_AGENT]
