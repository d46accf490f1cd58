"""One process's try at a piece of work: it reports, it may write while the row is its own, and it stops when asked."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from types import FrameType
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction

from sptar_engine.errors import Cancelled, StaleAttempt
from webapp.jobs import leases
from webapp.jobs.storing import storable
from webapp.models import StageRun, Work

_log = logging.getLogger(__name__)

_WRITE_EVERY = 1.0  # seconds between two reports in the database
_LOOK_EVERY = 1.0  # seconds between two looks at whether somebody called the work off
_LONGEST = 300  # characters of a message
_PATIENCE = 8.0  # seconds for the work to stop by itself; pages promise ten


class Stop(StrEnum):
    """Why an attempt is to stop."""

    CANCEL = "a person called it off"
    SHUTDOWN = "the worker shuts down"
    STALE = "another attempt owns the row"


class Attempt:
    """Handed to all work. Make one with `Attempt.claim`; `guarded` keeps the lease while the work runs."""

    def __init__(self, row: Work) -> None:
        """`row` is claimed already (webapp.jobs.leases.claim)."""
        self.row: Any = row
        self.stop: Stop | None = None
        self._written = float("-inf")
        self._unwritten = False
        self._report: dict[str, Any] = {}
        self.before_write: Callable[[], None] = _nothing
        """Called inside the transaction of each report, for rows that belong to it."""

    @classmethod
    def claim(cls, model: type[Work], pk: int, number: int) -> Attempt | None:
        """Take a queued row; None when it does not wait for attempt `number`."""
        row = leases.claim(model, pk, number)
        return None if row is None else cls(row)

    def tick(self, done: int, total: int, message: str = "", **numbers: float | int | str) -> None:
        """Report progress; at most one a second is written.

        Raises Cancelled when the work was asked to stop and StaleAttempt when another attempt owns the row.
        """
        said = {"message": message[:_LONGEST], "metrics": numbers}
        self._report = {"done": done, "total": total, **storable(said)}
        self._unwritten = True
        if time.monotonic() - self._written >= _WRITE_EVERY:
            self.write()
        self.check()

    def flush(self) -> None:
        """Write the last report, should it not have been written yet."""
        if self._unwritten:
            self.write()

    def write(self) -> None:
        """Write the last report now. Raises StaleAttempt when the row is not ours any more.

        A database that is away costs this report and nothing else: the next one finds it back, or the lease ends.
        """
        is_inner = connection.in_atomic_block
        try:
            with self.transaction():
                self.before_write()
                leases.renew(self.row, **self._report)
            self.look()
        except (OperationalError, InterfaceError) as error:
            if is_inner:
                raise
            _log.warning("A report was not written: the database cannot be reached (%s).", type(error).__name__)
            connection.close()
        self._written, self._unwritten = time.monotonic(), False

    def check(self) -> None:
        """Raise Cancelled or StaleAttempt when the work is to stop."""
        if self.stop is Stop.STALE:
            raise StaleAttempt("Another attempt owns this work by now; nothing of this one is kept.")
        if self.stop is not None:
            raise Cancelled(f"Stopped: {self.stop}.")

    def should_stop(self) -> bool:
        """Whether the work is to stop, for whatever reason."""
        return self.stop is not None

    def owns(self) -> bool:
        """Whether the row is still ours; asked before a result gets its name."""
        return bool(leases.renew(self.row))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes of work happen in here: the first statement fails unless the row is ours, then locks it.

        Raises StaleAttempt, having written nothing.
        """
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()  # between two of them an hour may lie
        with transaction.atomic():
            if not leases.renew(self.row):
                self.stop = Stop.STALE
                raise StaleAttempt("Another attempt owns this work by now; nothing of this one is kept.")
            yield

    def look(self) -> None:
        """See whether somebody called the work off, deleted its project or owns the row by now."""
        project = "experiment__project__deleted" if isinstance(self.row, StageRun) else "project__deleted"
        seen = leases.held(self.row).values_list("cancel_requested", project).first()
        if seen is None:
            self.stop = Stop.STALE
        elif seen[0] or (seen[1] and not self._tidies_up()):
            self.stop = Stop.CANCEL

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """While the block runs: keep the lease, watch for a stop, and end the process when the work ignores one."""
        over = threading.Event()
        guard = threading.Thread(target=_guard, args=(self, over), name="lease", daemon=True)
        before = signal.signal(signal.SIGTERM, self._on_sigterm)
        guard.start()
        try:
            yield
        finally:
            over.set()
            guard.join()
            signal.signal(signal.SIGTERM, before)

    def _on_sigterm(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.stop = self.stop or Stop.SHUTDOWN

    def _tidies_up(self) -> bool:
        """Whether this is the work that clears away a deleted project."""
        return getattr(self.row, "kind", "") in TIDYING


TIDYING = frozenset({"project.delete"})
"""Kinds of errands that are meant for projects that are deleted."""


def _nothing() -> None:
    pass


def _guard(attempt: Attempt, over: threading.Event) -> None:
    """The thread that keeps the lease. It has a database connection of its own, and outlives a lost one."""
    renewed, stopping_since = time.monotonic(), 0.0
    while not over.wait(_LOOK_EVERY):
        try:
            if time.monotonic() - renewed >= settings.HEARTBEAT_SECONDS:
                attempt.owns()
                renewed = time.monotonic()
            attempt.look()
        except (OperationalError, InterfaceError) as error:
            _log.warning("The database cannot be reached (%s); trying again.", type(error).__name__)
            connection.close()
        if attempt.stop in (Stop.CANCEL, Stop.STALE):
            stopping_since = stopping_since or time.monotonic()
            if time.monotonic() - stopping_since >= _PATIENCE:
                _end_process(attempt)
    connection.close()


def _end_process(attempt: Attempt) -> None:
    """End this process and all that it started: it is in a call that neither sees signals nor returns."""
    if attempt.stop is Stop.CANCEL:
        with suppress(OperationalError, InterfaceError):  # then the lease ends it
            leases.cancel(attempt.row)
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
