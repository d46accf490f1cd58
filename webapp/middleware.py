"""What every answer gets: headers, a way to log-in that htmx understands, and no blank page for a wrong method."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django_htmx.http import HttpResponseClientRedirect

from webapp.models import User
from webapp.services import sessions
from webapp.views.errors import wrong_method

PERMISSIONS_POLICY = ", ".join(
    f"{feature}=()" for feature in ("camera", "microphone", "geolocation", "payment", "usb", "browsing-topics")
)


class LoginRequired(LoginRequiredMiddleware):
    """Django's rule that all pages need log-in; a fragment request moves the whole page to log-in.

    A browser follows a redirect of a fragment request silently and would put the log-in page into the fragment. Who
    sent a form comes back to the page that showed it: after log-in the form's own address could not be opened.
    """

    def handle_no_permission(self, request: HttpRequest, view_func: Callable[..., Any]) -> HttpResponse:
        """Redirect, or tell htmx to."""
        if not getattr(request, "htmx", False):
            if request.method in ("GET", "HEAD"):
                return super().handle_no_permission(request, view_func)
            return redirect_to_login(_page_of_form(request))
        back = request.htmx.current_url_abs_path or "/"  # type: ignore[attr-defined]
        return HttpResponseClientRedirect(f"{resolve_url(settings.LOGIN_URL)}?{urlencode({'next': back})}")


def own_method_page(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Give a person who opens an address that only takes forms a page of ours instead of a blank one."""

    def answer(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if request.method != "GET" or not isinstance(response, HttpResponseNotAllowed):
            return response
        page = wrong_method(request)
        page.headers["Allow"] = response.headers["Allow"]
        return page

    return answer


def extra_headers(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Switch off what no page uses, and keep people's pages out of shared and disk caches."""

    def answer(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
        if "Cache-Control" not in response.headers and hasattr(request, "user"):
            response.headers["Cache-Control"] = "private, no-store"
        return response

    return answer


def note_session(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Keep the list of a person's open browsers true (webapp.services.sessions), without a write per request."""

    def answer(request: HttpRequest) -> HttpResponse:
        if request.session.session_key and isinstance(request.user, User) and request.user.is_authenticated:
            agent = request.headers.get("User-Agent", "")
            sessions.seen(user=request.user, session_key=request.session.session_key, agent=agent)
        return get_response(request)

    return answer


def _page_of_form(request: HttpRequest) -> str:
    """The path of the page a form was sent from, if that is one of ours, else home."""
    sent_from = request.headers.get("Referer", "")
    if not url_has_allowed_host_and_scheme(sent_from, {request.get_host()}, require_https=request.is_secure()):
        return "/"
    parts = urlsplit(sent_from)
    path = "/" + parts.path.lstrip("/")  # two slashes at the beginning would name another server
    return path + (f"?{parts.query}" if parts.query else "")
