"""The first person, who looks after the installation."""

from __future__ import annotations

from django.db import transaction

from webapp.models import User
from webapp.services import events

FIRST_EMAIL = "you@localhost"


@transaction.atomic
def first() -> User:
    """The operator with the oldest account; made, without a password, when there is none."""
    found = User.objects.filter(is_superuser=True, is_active=True).order_by("pk").first()
    if found:
        return found
    made = User.objects.create_superuser(FIRST_EMAIL, name="Operator")
    events.record("person.joined", project=None, actor=made)
    return made
