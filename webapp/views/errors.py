"""Error pages: what happened, why, what you can do."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400."""
    return _page(request, 400, "That request cannot be answered", str(exception) or "Something in the address is wrong.")


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403, with the sentence of the view that refused."""
    return _page(request, 403, "You may not do that here", str(exception) or "Your role does not allow it.")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404, the same for what does not exist and for what belongs to others."""
    del exception  # its text could tell the two apart
    return _page(request, 404, "There is no such page", "It may have been removed, or you may not be a member of it.")


def broken(request: HttpRequest) -> HttpResponse:
    """500. No database and no template context that could fail again."""
    return render(None, "errors/broken.html", status=500)


def _page(request: HttpRequest, status: int, title: str, sentence: str) -> HttpResponse:
    return render(request, "errors/page.html", {"status": status, "title": title, "sentence": sentence}, status=status)
