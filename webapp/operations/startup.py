"""What must hold before the processes start: a private data folder, one owner, a free port, tables, static files."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.core.management import call_command

_SOCKET_PATH_BYTES = 107  # of sockaddr_un on Linux, without the final NUL
_FOLDERS = ("run", "logs", "redis", "search")
_STOPPING_SECONDS = 90  # all stop times after one another


class CannotStart(Exception):
    """A sentence for the person at the terminal."""


def make_folders(data_dir: Path) -> None:
    """Make the data folder and what lies in it. Raises CannotStart."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        data_dir.chmod(0o700)
        for name in _FOLDERS:
            (data_dir / name).mkdir(exist_ok=True, mode=0o700)
            (data_dir / name).chmod(0o700)
    except OSError as error:
        raise CannotStart(
            f"The data folder {data_dir} cannot be used: {error.strerror}. Set SPTAR_DATA to a folder of your own."
        ) from error
    longest = max(len(os.fsencode(data_dir / name)) for name in ("run/supervisor.sock.12345678", "search/search.sock"))
    if longest > _SOCKET_PATH_BYTES:
        raise CannotStart(
            f"The name of the data folder {data_dir} is {longest - _SOCKET_PATH_BYTES} bytes too long for the sockets "
            "in it. Set SPTAR_DATA to a folder with a shorter name."
        )


@contextmanager
def own(data_dir: Path) -> Iterator[None]:
    """Own the data folder while the block runs. Raises CannotStart when another start owns it."""
    path = data_dir / "run" / "up.lock"
    with path.open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotStart(
                f"SPTAR is running on {data_dir} already. Stop it with Ctrl-C where it was started, or set SPTAR_DATA "
                "and PORT for a second one."
            ) from None
        yield


def wait_for_earlier_processes(data_dir: Path, tell: Callable[[str], None]) -> None:
    """Wait until the processes of a start that was killed have stopped. Raises CannotStart when they do not."""
    end = time.monotonic() + _STOPPING_SECONDS
    told = False
    with (data_dir / "run" / "supervisor.lock").open("a+") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > end:
                    raise CannotStart(
                        f"Processes of an earlier start still work on {data_dir} and do not stop. Look for supervisord "
                        "among the processes of this machine and end it."
                    ) from None
            else:
                return
            if not told:
                tell("The processes of an earlier start are still stopping; waiting for them.")
                told = True
            time.sleep(0.2)


def check_port(port: int) -> None:
    """Raise CannotStart unless a server could listen on the port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError as error:
            raise CannotStart(
                f"Port {port} of 127.0.0.1 cannot be used: {error.strerror}. Choose another one, for example "
                f"PORT={port + 1 if port < 65_535 else 8000} make up."
            ) from error


def prepare_application() -> None:
    """Bring tables, the cache's table and static files up to date."""
    call_command("migrate", interactive=False, verbosity=0)
    call_command("createcachetable", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)


def uses_own_redis() -> bool:
    """Whether REDIS_URL was left at the private Redis of the data folder."""
    return str(settings.REDIS_URL) == f"unix://{settings.REDIS_SOCKET}?db=0"
