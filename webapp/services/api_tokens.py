"""Tokens of the API: made, used, revoked. Their text is shown once; the table has its hash."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from webapp.models import ApiToken, Membership, Project, User
from webapp.services import events
from webapp.services.tokens import hash_token, make_token

MARK = "sptar_"
"""Begins every token, so that scanners of leaked secrets and people know what it is."""
MOST = 50
"""Tokens that one person may have."""

_SHOWN = 12  # characters by which people tell tokens apart; 6 of them are the mark
_USE_NOTED = timedelta(minutes=1)  # how exact `last_used` is: a write for every request would cost more than it says


@transaction.atomic
def make(
    *, user: User, name: str, scope: str, project: Project | None = None, expires: datetime | None = None
) -> tuple[ApiToken, str]:
    """Return a new token and its text, which is nowhere to be had again.

    Raises ValidationError for an empty name, an unknown scope, a project the person is no member of, or too many.
    """
    User.objects.select_for_update().get(pk=user.pk)
    if ApiToken.objects.filter(user=user, revoked=None).count() >= MOST:
        raise ValidationError(f"You have {MOST} tokens already. Revoke those that nothing uses any more.")
    if project and not Membership.objects.filter(user=user, project=project, project__deleted=None).exists():
        raise ValidationError({"project": "You are no member of this project."})
    text = MARK + make_token()[0]
    token = ApiToken(
        user=user, name=name.strip(), prefix=text[:_SHOWN], token_hash=hash_token(text), scope=scope, project=project,
        expires=expires,
    )  # fmt: skip
    token.full_clean()
    token.save()
    facts = {"name": token.name, "scope": token.scope, "prefix": token.prefix}
    events.record("token.created", project=None, actor=user, **facts)
    return token, text


@transaction.atomic
def revoke(*, token: ApiToken, actor: User) -> None:
    """Make a token useless at once. A second call does nothing."""
    if ApiToken.objects.filter(pk=token.pk, revoked=None).update(revoked=timezone.now()):
        events.record("token.revoked", project=None, actor=actor, name=token.name, prefix=token.prefix)


def note_use(token: ApiToken) -> None:
    """Keep when a token was used last, to the minute."""
    now = timezone.now()
    if token.last_used is None or token.last_used <= now - _USE_NOTED:
        rows = ApiToken.objects.filter(Q(last_used=None) | Q(last_used__lte=now - _USE_NOTED), pk=token.pk)
        rows.update(last_used=now)
