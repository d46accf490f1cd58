"""What every answer gets: headers, and a way to log-in that htmx understands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url
from django_htmx.http import HttpResponseClientRedirect

PERMISSIONS_POLICY = ", ".join(
    f"{feature}=()" for feature in ("camera", "microphone", "geolocation", "payment", "usb", "browsing-topics")
)


class LoginRequired(LoginRequiredMiddleware):
    """Django's rule that all pages need log-in; a fragment request moves the whole page to log-in.

    A browser follows a redirect of a fragment request silently and would put the log-in page into the fragment.
    """

    def handle_no_permission(self, request: HttpRequest, view_func: Callable[..., Any]) -> HttpResponse:
        """Redirect, or tell htmx to."""
        if not getattr(request, "htmx", False):
            return super().handle_no_permission(request, view_func)
        back = request.htmx.current_url_abs_path or "/"  # type: ignore[attr-defined]
        return HttpResponseClientRedirect(f"{resolve_url(settings.LOGIN_URL)}?{urlencode({'next': back})}")


def extra_headers(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Switch off what no page uses, and keep people's pages out of shared and disk caches."""

    def answer(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
        if "Cache-Control" not in response.headers and hasattr(request, "user"):
            response.headers["Cache-Control"] = "private, no-store"
        return response

    return answer
