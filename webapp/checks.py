"""System checks of our own: what must hold before the application starts (`manage.py check`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register

_NEEDED = (
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "webapp.middleware.LoginRequired",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
)


@register(Tags.security)
def policy_is_strict(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """The content security policy allows no inline script or style and nothing from other hosts."""
    del app_configs, kwargs
    directives = settings.CONTENT_SECURITY_POLICY["DIRECTIVES"]
    weak = {
        f"{name} {value}"
        for name, values in directives.items()
        for value in values
        if value not in ("'self'", "'none'", "data:")
    }
    if directives.get("default-src") != ["'none'"]:
        weak.add("default-src is not 'none'")
    return [
        Error(
            f"The content security policy is weaker than the pages need: {found}.",
            hint="Move scripts and styles into files below static/.",
            id="webapp.E001",
        )
        for found in sorted(weak)
    ]


@register(Tags.security)
def middleware_is_complete(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Nobody took out the middleware that the access rule and the headers stand on."""
    del app_configs, kwargs
    return [
        Error(f"MIDDLEWARE lacks {name}.", hint="Put it back; see webapp/settings.py.", id="webapp.E002")
        for name in _NEEDED
        if name not in settings.MIDDLEWARE
    ]


@register(Tags.security, deploy=True)
def other_hosts_need_tls(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Passwords and cookies do not travel in plain text."""
    del app_configs, kwargs
    public = sorted(set(settings.ALLOWED_HOSTS) - set(settings.LOCAL_HOSTS))
    if settings.HTTPS or not public:
        return []
    return [
        checks.Warning(
            f"The server answers for {', '.join(public)} without TLS.",
            hint="Set HTTPS=1, and BEHIND_PROXY=1 when a proxy of yours ends TLS.",
            id="webapp.W001",
        )
    ]


@register(Tags.security, deploy=True)
def queue_needs_a_password(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Whoever can write into Redis can ask the workers for work."""
    del app_configs, kwargs
    place = urlsplit(settings.REDIS_URL)
    if place.scheme not in ("redis", "rediss") or place.password:
        return []
    return [
        checks.Warning(
            f"Redis at {place.hostname} is reached over the network without a password.",
            hint="Put a password into REDIS_URL, or REDIS_URL_FILE, or use a Unix socket.",
            id="webapp.W002",
        )
    ]
