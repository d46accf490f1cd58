"""What happens when somebody logs in or out, by whichever way."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.dispatch import receiver
from django.http import HttpRequest

from webapp.models import User
from webapp.services import sessions


@receiver(user_logged_in, dispatch_uid="webapp.open_session")
def note_log_in(request: HttpRequest, user: User, **facts: Any) -> None:
    """Keep the new session among the person's open ones."""
    del facts
    if not request.session.session_key:
        request.session.create()
    key = request.session.session_key
    assert key is not None
    sessions.opened(user=user, session_key=key, agent=request.headers.get("User-Agent", ""))


@receiver(user_logged_out, dispatch_uid="webapp.open_session")
def note_log_out(request: HttpRequest, **facts: Any) -> None:
    """Forget the session, which ends right after this."""
    del facts
    if request.session.session_key:
        sessions.closed(session_key=request.session.session_key)
