"""How much one person may ask of the server in a minute, counted in Redis for all processes together."""

from __future__ import annotations

import time
from typing import Any

import django_rq
from django.conf import settings
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

_MINUTE = 60  # seconds
_here: dict[str, int] = {}
"""This process's own counts of the current minute, for as long as Redis cannot be reached."""


class PersonLimit(BaseThrottle):
    """All tokens and browsers of a person together; a view names in `starts` the methods that start work."""

    def allow_request(self, request: Request, view: Any) -> bool:
        """Count the request and say whether it is within the limits."""
        minute = int(time.time()) // _MINUTE
        limits = {"all": settings.API_REQUESTS_A_MINUTE}
        if request.method in getattr(view, "starts", ()):
            limits["start"] = settings.API_STARTS_A_MINUTE
        return all(_count(f"sptar-api:{kind}:{request.user.pk}:{minute}") <= limit for kind, limit in limits.items())

    def wait(self) -> float:
        """Seconds until the next minute begins."""
        return _MINUTE - time.time() % _MINUTE


def _count(key: str) -> int:
    try:
        with django_rq.get_connection("short").pipeline() as pipe:
            pipe.incr(key)
            pipe.expire(key, 2 * _MINUTE)
            return int(pipe.execute()[0])
    except (RedisError, OSError):
        return _count_here(key)


def _count_here(key: str) -> int:
    minute = key.rpartition(":")[2]
    for old in [name for name in list(_here) if not name.endswith(f":{minute}")]:
        _here.pop(old, None)
    _here[key] = _here.get(key, 0) + 1
    return _here[key]
