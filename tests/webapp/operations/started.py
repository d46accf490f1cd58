"""A started `manage.py up` and the processes that belong to it."""

from __future__ import annotations

import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.webapp.operations.machines import ROOT, Machine


class Up:
    """A started `manage.py up`."""

    def __init__(self, machine: Machine, *options: str) -> None:
        self.machine = machine
        self.port = int(machine.variables["PORT"])
        self.log = machine.data.parent / f"up-{secrets.token_hex(3)}.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up", *options],
                cwd=ROOT, env=machine.environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    @property
    def address(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def said(self) -> str:
        """What it printed so far."""
        return self.log.read_text()

    def wait_until_it_runs(self) -> None:
        """Wait until it has said everything about its start."""
        self.wait(lambda: "started again, it goes on" in self.said, 90)

    def others(self) -> dict[int, str]:
        """Processes that work on this data folder, this command excepted: number and command line."""
        return {pid: line for pid, line in processes_of(self.machine.data).items() if pid != self.process.pid}

    def wait_until_all_are_gone(self, seconds: float) -> None:
        """Wait for the end of all processes."""
        self.wait(lambda: not self.others(), seconds)

    def stop(self) -> int:
        """Press Ctrl-C and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)

    def wait(self, condition: Callable[[], bool], seconds: float) -> None:
        """Wait for something; fail with what it printed when it does not happen in time."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                pytest.fail(f"not within {seconds} s; said: {self.said}; left: {self.others()}; {self._logs()}")
            time.sleep(0.1)

    def _logs(self) -> str:
        logs = sorted((self.machine.data / "logs").glob("*.log"))
        return "\n".join(f"--- {path.name}\n{path.read_text(errors='replace')[-1500:]}" for path in logs)


def processes_of(data: Path) -> dict[int, str]:
    """Number and command line of the processes whose data folder this is.

    They have it in their environment, or, where a title was written over that, hold a lock in it.
    """
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            named = f"SPTAR_DATA={data}".encode() in (folder / "environ").read_bytes().split(b"\0")
            if named or any(str(link.readlink()).startswith(f"{data}/run/") for link in (folder / "fd").iterdir()):
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        except OSError:  # it ended, or is somebody else's
            continue
    return {pid: line for pid, line in found.items() if line}


def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
