"""The browsers a person is logged in with: a list, and ending one or all others."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from webapp.models import OpenSession
from webapp.selectors.sessions import browsers_of
from webapp.selectors.words import plural
from webapp.services import sessions


@require_GET
def listing(request: HttpRequest) -> HttpResponse:
    """Where the person is logged in."""
    return render(request, "people/sessions.html", {"browsers": browsers_of(request.user, request.session.session_key)})


@require_POST
def end(request: HttpRequest, pk: int) -> HttpResponse:
    """Log one of one's own browsers out; this one, too."""
    session = get_object_or_404(OpenSession, pk=pk, user=request.user)
    if session.session_key == request.session.session_key:
        logout(request)
        return redirect("login")
    sessions.end(session=session)
    messages.success(request, "That browser is logged out.", extra_tags="good")
    return redirect("sessions")


@require_POST
def end_others(request: HttpRequest) -> HttpResponse:
    """Log out everywhere but here."""
    count = sessions.end_others(user=request.user, keep=request.session.session_key or "")
    text = f"{count} other {plural(count, 'browser')} logged out." if count else "You are logged in nowhere else."
    messages.success(request, text, extra_tags="good")
    return redirect("sessions")
