"""Become one of the processes: `python -m webapp.operations.process NAME`.

Two promises hold before the process itself begins. It is told to stop when its parent dies, however that dies. And it
owns the lock of its name in the data folder, which goes with it: an old one that is still stopping is waited for.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import sys
from pathlib import Path

from webapp.operations.processes import command

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LOCK = 3  # supervisord closes the descriptors from 5 on when it starts, and all from 3 on in its children


def main(name: str) -> None:
    """Take the lock, tie this process to its parent, and become `name`."""
    die_with_parent()
    _own(Path(os.environ["SPTAR_DATA"]) / "run" / f"{name}.lock", name)
    words = command(name, os.environ)
    os.execv(words[0], words)  # noqa: S606 a command of ours, no shell


def die_with_parent() -> None:
    """Have the kernel send SIGTERM when the parent is gone. It outlives exec."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("The process that started this one is gone.")


def _own(path: Path, name: str) -> None:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    if handle != _LOCK:
        os.dup2(handle, _LOCK)
        os.close(handle)
    os.set_inheritable(_LOCK, True)
    try:
        fcntl.flock(_LOCK, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.stderr.write(f"Waiting for an earlier process {name} to end.\n")
        fcntl.flock(_LOCK, fcntl.LOCK_EX)


if __name__ == "__main__":
    main(sys.argv[1])
