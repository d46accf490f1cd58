"""Links that log a person in once, for the first start and for forgotten passwords."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone

from webapp.models import LoginLink, User
from webapp.services import events
from webapp.services.tokens import hash_token, make_token

LIFETIME = timedelta(minutes=15)


class LinkSpent(ValueError):
    """The link was used, is too old, or never existed."""


@transaction.atomic
def make(user: User) -> str:
    """Return the path of a link that logs `user` in once within 15 minutes. Older open links of theirs end here."""
    now = timezone.now()
    LoginLink.objects.filter(user=user, used=None).update(used=now)
    token, token_hash = make_token()
    LoginLink.objects.create(user=user, token_hash=token_hash, expires=now + LIFETIME)
    events.record("login_link.made", project=None, actor=user)
    return reverse("login_link", args=[token])


def is_open(token: str) -> bool:
    """Whether the link would work now. Changes nothing."""
    return _open(token).exists()


@transaction.atomic
def spend(token: str) -> User:
    """Use the link up and return whom it logs in. Raises LinkSpent; of two at the same moment one gets it."""
    link = _open(token).select_related("user").first()
    if link is None or not LoginLink.objects.filter(pk=link.pk, used=None).update(used=timezone.now()):
        raise LinkSpent("This link was used already or is older than 15 minutes.")
    events.record("login_link.used", project=None, actor=link.user)
    return link.user


def _open(token: str) -> QuerySet[LoginLink]:
    return LoginLink.objects.filter(
        token_hash=hash_token(token), used=None, expires__gt=timezone.now(), user__is_active=True
    )
