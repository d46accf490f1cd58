"""The browsers a person is logged in with, in words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.contrib.sessions.models import Session
from django.utils import timezone

from webapp.models import OpenSession, User

_BROWSERS = (
    ("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chromium/", "Chromium"), ("Chrome/", "Chrome"),
    ("Safari/", "Safari"), ("curl/", "curl"), ("python", "a Python program"),
)  # fmt: skip
"""What tells browsers apart, the more telling first: most of them also call themselves Chrome and Safari."""
_SYSTEMS = (
    ("Android", "Android"), ("iPhone", "an iPhone"), ("iPad", "an iPad"), ("Windows", "Windows"),
    ("Mac OS", "a Mac"), ("CrOS", "ChromeOS"), ("Linux", "Linux"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Browser:
    """An open session. `is_this` is the one that asks."""

    pk: int
    words: str
    created: datetime
    last_seen: datetime
    is_this: bool


def browsers_of(user: User, session_key: str | None) -> list[Browser]:
    """Sessions that still open the application, this one first, then those used last."""
    alive = Session.objects.filter(expire_date__gt=timezone.now()).values("session_key")
    rows = OpenSession.objects.filter(user=user, session_key__in=alive).order_by("-last_seen", "-pk")
    found = [
        Browser(row.pk, in_words(row.agent), row.created, row.last_seen, row.session_key == session_key) for row in rows
    ]
    return sorted(found, key=lambda one: not one.is_this)


def in_words(agent: str) -> str:
    """What a browser calls itself, as people call it: `Firefox on Linux`."""
    browser = next((name for mark, name in _BROWSERS if mark in agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in agent), "")
    if not browser:
        return f"A browser on {system}" if system else "Unknown browser"
    return f"{browser[0].upper()}{browser[1:]}" + (f" on {system}" if system else "")
