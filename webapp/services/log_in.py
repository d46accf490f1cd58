"""Log-in by password, with a pause after too many wrong ones for an address or from a host."""

from __future__ import annotations

import hashlib
from datetime import timedelta

from django.conf import settings
from django.contrib.auth import authenticate
from django.core.exceptions import ValidationError
from django.utils import timezone

from webapp.models import LoginAttempt, User
from webapp.services import events

WRONG = "This e-mail address and password do not belong together. Check both; capitals count in the password."


def check_password(*, email: str, password: str, host: str) -> User:
    """Return the person. Raises ValidationError with a sentence when the password is wrong or log-in pauses.

    An attempt is counted before the password is looked at, so that many at the same moment cannot slip through.
    """
    address_key, host_key = _key("address", email.strip().lower()), _key("host", host)
    _forget_old()
    attempts = [LoginAttempt.objects.create(key=key) for key in (address_key, host_key)]
    if any(_count(key) > settings.LOGIN_ATTEMPTS for key in (address_key, host_key)):
        # Attempts during the pause do not lengthen it.
        LoginAttempt.objects.filter(pk__in=[attempt.pk for attempt in attempts]).delete()
        raise ValidationError(
            f"Too many wrong passwords. Log-in pauses for {max(1, settings.LOGIN_PAUSE // 60)} minutes; "
            "then try again, or ask the operator of this server for a log-in link.",
            code="paused",
        )
    user = authenticate(username=email.strip().lower(), password=password)
    if not isinstance(user, User):
        raise ValidationError(WRONG, code="wrong")
    # The host's other wrong passwords stay counted: a right one for one's own account must not clear guesses at others.
    LoginAttempt.objects.filter(pk__in=[attempt.pk for attempt in attempts]).delete()
    LoginAttempt.objects.filter(key=address_key).delete()
    events.record("person.logged_in", project=None, actor=user)
    return user


def _key(kind: str, value: str) -> str:
    return hashlib.sha256(f"{kind}:{value}".encode(errors="replace")).hexdigest()


def _since() -> timedelta:
    return timedelta(seconds=settings.LOGIN_PAUSE)


def _count(key: str) -> int:
    return LoginAttempt.objects.filter(key=key, at__gt=timezone.now() - _since()).count()


def _forget_old() -> None:
    LoginAttempt.objects.filter(at__lte=timezone.now() - _since()).delete()
