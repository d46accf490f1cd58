"""What every page needs."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest


def site(request: HttpRequest) -> dict[str, Any]:
    """The project and role of the address (set by webapp.access), and the theme chosen by the person."""
    theme = request.COOKIES.get("theme", "")
    return {
        "project": getattr(request, "project", None),
        "role": getattr(request, "role", None),
        "theme": theme if theme in ("light", "dark") else "",
        "sign_up": settings.SIGN_UP,
    }
