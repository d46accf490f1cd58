"""Tokens of the API: the one that a program shows, and those of a person."""

from __future__ import annotations

from django.db.models import Q
from django.utils import timezone

from webapp.models import ApiToken, User


def open_token(token_hash: str) -> ApiToken | None:
    """The token with this hash (webapp.services.tokens) if it works now, its person known."""
    now = timezone.now()
    rows = ApiToken.objects.select_related("user").filter(token_hash=token_hash, revoked=None)
    return rows.filter(Q(expires=None) | Q(expires__gt=now), user__is_active=True).first()


def tokens_of(user: User) -> list[ApiToken]:
    """All that a person has not revoked, newest first; `is_over` is set on those that have expired."""
    rows = list(ApiToken.objects.select_related("project").filter(user=user, revoked=None).order_by("-pk"))
    now = timezone.now()
    for row in rows:
        row.is_over = row.expires is not None and row.expires <= now  # type: ignore[attr-defined]  # for the page
    return rows
