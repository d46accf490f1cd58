"""Accounts: sign-up, profile, password."""

from __future__ import annotations

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from webapp.models import User
from webapp.services import events

TAKEN = "There is an account with this e-mail address already. Log in instead."


def sign_up(*, email: str, name: str, password: str) -> User:
    """Make an account. Raises ValidationError by field; the caller has decided that this person may."""
    user = User(email=email.strip().lower(), name=name.strip())
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise ValidationError({"password": error.messages}) from None
    if User.objects.filter(email=user.email).exists():
        raise ValidationError({"email": TAKEN})
    try:
        with transaction.atomic():
            made = User.objects.create_user(user.email, password, name=user.name)
            events.record("person.joined", project=None, actor=made)
    except IntegrityError:  # two sign-ups with one address at the same moment
        raise ValidationError({"email": TAKEN}) from None
    return made


@transaction.atomic
def add(*, email: str, name: str = "", is_operator: bool = False) -> User:
    """Make an account without a password, for a person who comes by a log-in link. Raises ValidationError."""
    make = User.objects.create_superuser if is_operator else User.objects.create_user
    made = make(email.strip(), name=name.strip())
    events.record("person.joined", project=None, actor=made)
    return made


@transaction.atomic
def change_profile(*, user: User, name: str, shortcuts: bool) -> User:
    """Set what the person chooses about themselves."""
    user.name, user.shortcuts = name.strip(), shortcuts
    user.full_clean(exclude=["password"])
    user.save(update_fields=["name", "shortcuts"])
    events.record("person.changed_profile", project=None, actor=user)
    return user


@transaction.atomic
def set_password(*, user: User, password: str) -> User:
    """Set a new password, which ends the person's other sessions. Raises ValidationError for a weak one."""
    validate_password(password, user)
    user.set_password(password)
    user.save(update_fields=["password"])
    events.record("person.changed_password", project=None, actor=user)
    return user
