"""Error pages: what happened, why, what you can do. htmx gets them as a fragment for the place of messages."""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import BadRequest, PermissionDenied, RequestDataTooBig, TooManyFieldsSent
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

TOO_LARGE = 413


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400, or 413 for a form that is too large. Only sentences of our own views are repeated."""
    if isinstance(exception, RequestDataTooBig | TooManyFieldsSent):
        return too_large(request)
    sentence = str(exception) if isinstance(exception, BadRequest) else ""
    return _page(
        request, 400, "That request cannot be answered",
        sentence or "Something in the address or in what was sent is not as this page expects it. "
        "Go back, reload the page and try again.",
    )  # fmt: skip


def too_large(request: HttpRequest) -> HttpResponse:
    """413."""
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE >> 20
    return _page(
        request, TOO_LARGE, "That was too much at once",
        f"A form may hold {limit} MB of text and {settings.DATA_UPLOAD_MAX_NUMBER_FIELDS:,} fields. "
        f"Send less at a time, or put it into a file and upload that: files may have {settings.UPLOAD_LIMIT_MB:,} MB.",
    )  # fmt: skip


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403, with the sentence of the view that refused."""
    sentence = str(exception) if isinstance(exception, PermissionDenied) else ""
    return _page(request, 403, "You may not do that here", sentence or "Your role does not allow it.")


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 for a form whose token is missing or not of this session."""
    del reason  # technical; Django logs it
    return _page(
        request, 403, "This form is out of date",
        "For your safety a form works only in the browser and the session that opened it. You may have logged in or "
        "out in another tab since, or your browser refuses cookies. Nothing was changed. Go back, reload the page and "
        "send it again.",
    )  # fmt: skip


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404, the same for what does not exist and for what belongs to others."""
    del exception  # its text could tell the two apart
    return _page(
        request, 404, "There is no such page",
        "The address may be mistyped, the thing may have been removed, or you may not be a member of its project. "
        "If somebody sent you the address, ask them for an invitation.",
    )  # fmt: skip


def wrong_method(request: HttpRequest) -> HttpResponse:
    """405 for somebody who opens an address that only takes what a form sends; below a project that is a member."""
    project = getattr(request, "project", None)
    back = reverse("project", args=[project.slug]) if project else ""
    return _page(
        request, 405, "This address cannot be opened",
        "It only takes what a form sends. Nothing was changed. Go on from the page that has the form.",
        back=back,
    )  # fmt: skip


def broken(request: HttpRequest) -> HttpResponse:
    """500. No database and no template context that could fail again."""
    template = "errors/_broken.html" if getattr(request, "htmx", False) else "errors/broken.html"
    return _retargeted(request, render(None, template, status=500))  # type: ignore[arg-type]  # None runs no processors


def _page(request: HttpRequest, status: int, title: str, sentence: str, back: str = "") -> HttpResponse:
    fragment = bool(getattr(request, "htmx", False))
    template = "errors/_message.html" if fragment else "errors/page.html"
    request.project = None  # type: ignore[attr-defined]  # no stepper: its queries could fail as the page did
    context = {"status": status, "title": title, "sentence": sentence, "back": back}
    response = render(request, template, context, status=status)
    return _retargeted(request, response)


def _retargeted(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Let htmx put an error where messages stand and leave the fragment it asked for as it is (static/js/sptar.js)."""
    if getattr(request, "htmx", False):
        response.headers["HX-Retarget"] = "#flash"
        response.headers["HX-Reswap"] = "innerHTML"
    return response
