"""Stands in while a page is being written. Must be gone before anything lands."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse


def pending(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    return HttpResponse(status=501)
