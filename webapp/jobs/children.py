"""Starts work as a fresh process and sees it to its end: time limit, stop, crash.

A worker forks for every job, and neither torch nor a JVM survives a fork; so the fork starts `manage.py run_stage` and
does nothing but wait. It has no database connection while it does.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from types import FrameType

from django.conf import settings
from django.db import InterfaceError, OperationalError, connections

from webapp import places
from webapp.jobs import leases
from webapp.jobs.parents import die_with
from webapp.models import StageRun, Work
from webapp.services import stages

_log = logging.getLogger(__name__)

_GRACE = 20.0  # seconds for work to stop at its next report when the worker shuts down; the worker has 30
_LOG_LIMIT = 1 << 20  # bytes; a longer log of earlier attempts is begun anew
_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",  # models never come from the network
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TQDM_DISABLE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "OMP_WAIT_POLICY": "PASSIVE",  # spinning threads ruin each other on a shared machine
    "PYTHONUNBUFFERED": "1",  # the log is read while it grows
    "PYTHONWARNINGS": "ignore::FutureWarning",  # what libraries tell one another's developers
}


def supervise(model: type[Work], pk: int, attempt: int) -> None:
    """Run a queued row's work in a process of its own, and say in the row what became of it if that could not."""
    work = leases.take(model, pk, attempt)
    if work is None:
        _log.info("Row %s, attempt %s is done, called off or taken by another worker.", pk, attempt)
        connections.close_all()
        return
    command = "run_stage" if model is StageRun else "run_errand"
    limit = settings.STAGE_TIMEOUT if model is StageRun else settings.ERRAND_TIMEOUT
    log = places.log_file(work)
    connections.close_all()
    child = _Child([command, str(pk), str(attempt)], log, limit)
    try:
        child.wait()
        _judge(work, child)
    except (OperationalError, InterfaceError) as error:
        _log.warning("The database cannot be reached (%s): reconcile will see to row %s.", type(error).__name__, pk)
    finally:
        child.kill()
        connections.close_all()


class _Child:
    """A process of `manage.py` in a session of its own, which dies with this one."""

    def __init__(self, arguments: list[str], log: Path, limit: int) -> None:
        self.timed_out = self.ignored_stop = False
        self._end = time.monotonic() + limit
        self._stop_by = float("inf")
        self.asked = False
        signal.signal(signal.SIGTERM, self._on_sigterm)
        log.parent.mkdir(parents=True, exist_ok=True)
        is_long = log.exists() and log.stat().st_size > _LOG_LIMIT
        with log.open("wb" if is_long else "ab") as stream:
            self.process = subprocess.Popen(  # noqa: S603  our own program with numbers as arguments
                [sys.executable, str(settings.BASE_DIR / "manage.py"), *arguments],
                stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT,
                env={**os.environ, **_ENVIRONMENT}, start_new_session=True, preexec_fn=die_with(os.getpid()),
            )  # fmt: skip
        if self.asked:
            self.process.send_signal(signal.SIGTERM)

    def wait(self) -> None:
        """Return when the process has ended or must be ended."""
        while True:
            try:
                self.process.wait(timeout=1)
            except subprocess.TimeoutExpired:
                self.timed_out = time.monotonic() > self._end
                self.ignored_stop = time.monotonic() > self._stop_by
                if self.timed_out or self.ignored_stop:
                    return
            else:
                return

    def kill(self) -> None:
        """End the process and all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _on_sigterm(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.asked = True
        self._stop_by = time.monotonic() + _GRACE
        if hasattr(self, "process"):
            self.process.send_signal(signal.SIGTERM)


def _judge(work: Work, child: _Child) -> None:
    """Bring the row into line with how the process ended; one that ended well has done so itself.

    The row changes before the process is killed: from then on it can write nothing.
    """
    code = child.process.returncode
    if child.asked and code != 0:
        leases.release(work)
    elif child.timed_out:
        limit = settings.STAGE_TIMEOUT if isinstance(work, StageRun) else settings.ERRAND_TIMEOUT
        leases.fail(
            work,
            f"Timed out: this took longer than {_duration(limit)}, which is the limit here. What was finished is "
            "kept; try again to go on from there.",
        )
    elif code != 0:
        leases.crash(work, crash_sentence(f"signal {-code}" if code and code < 0 else f"exit code {code}"))
    if isinstance(work, StageRun):
        stages.settle(work.experiment)


def crash_sentence(how: str) -> str:
    """Why work is given up after several crashes, and what to do."""
    return (
        f"Not enough memory, or a crash in a library: the process ended without a word {leases.CRASHES} times in a "
        f"row ({how}). Try a smaller model or smaller batches; what was finished is kept."
    )


def _duration(seconds: int) -> str:
    return f"{seconds / 3600:.0f} hours" if seconds >= 7200 else str(timedelta(seconds=seconds))
