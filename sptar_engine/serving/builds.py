"""What takes minutes, done in the background: one build at a time, the more urgent one first."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from itertools import count

from sptar_engine.disk import is_full_disk
from sptar_engine.errors import Cancelled, SptarError

READY, BUILDING, ABSENT, FAILED = "ready", "building", "absent", "failed"

_NICENESS = 5  # of the building thread: searches and pages go first, but a query may wait for its batch
_RETRY = 60.0  # seconds after which a failed build is tried again when somebody needs it
_KEPT = 200  # failures that are remembered
_log = logging.getLogger(__name__)

Key = tuple[str, str]
"""Digest of the corpus, and what is built for it."""


@dataclass(frozen=True, slots=True)
class State:
    """Where a build stands; `message` says what is being done, or why it failed."""

    state: str
    done: int = 0
    total: int = 0
    message: str = ""


Tick = Callable[[int, int, str], None]
"""Reports `done` of `total` and what is done; raises Cancelled when the build is to stop."""

Steps = Callable[[Tick], Generator[None, None, None]]
"""A build: a generator function. Wherever it yields, a more urgent build may go first."""


@dataclass(slots=True)
class _Build:
    key: Key
    priority: int
    number: int
    steps: Steps
    state: State = State(BUILDING, message="waiting for another index")
    running: Generator[None, None, None] | None = None
    cancelled: bool = False
    ended: float = 0.0
    order: tuple[int, int] = field(init=False)

    def __post_init__(self) -> None:
        self.order = (self.priority, self.number)


class Builds:
    """A thread that builds, and what is known of each build. What is ready is not remembered: its files are there."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._open: dict[Key, _Build] = {}
        self._failed: dict[Key, _Build] = {}
        self._numbers = count()
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="builds", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread works; it ends only by `stop` or by a mistake of ours."""
        return self._thread.is_alive()

    def stop(self, seconds: float) -> bool:
        """Stop at the next report. False when that takes longer than `seconds`; nothing is lost by leaving then."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def ask(self, key: Key, priority: int, steps: Steps, *, again: bool = False) -> State:
        """Have something built; a lower `priority` goes first. Returns where it stands.

        What is being built already goes on. What failed is tried again when `again` is set or a minute has passed.
        """
        with self._changed:
            if key in self._open:
                return self._open[key].state
            failed = self._failed.get(key)
            if failed and not again and time.monotonic() - failed.ended < _RETRY:
                return failed.state
            self._failed.pop(key, None)
            build = self._open[key] = _Build(key, priority, next(self._numbers), steps)
            self._changed.notify_all()
            return build.state

    def state(self, key: Key) -> State:
        """Where a build stands; `absent` when nobody asked for it or it is done."""
        with self._changed:
            build = self._open.get(key) or self._failed.get(key)
            return build.state if build else State(ABSENT)

    def all(self) -> dict[Key, State]:
        """All that wait, are being built or failed."""
        with self._changed:
            return {key: build.state for key, build in [*self._open.items(), *self._failed.items()]}

    def cancel(self, wanted: Callable[[Key], bool]) -> None:
        """Call builds off and forget failures. One that has begun ends at its next report."""
        with self._changed:
            for key in [key for key in self._failed if wanted(key)]:
                del self._failed[key]
            for build in [build for key, build in self._open.items() if wanted(key)]:
                build.cancelled = True

    def idle(self, seconds: float) -> bool:
        """Wait until nothing is left to build; False when that takes longer."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._open, seconds)

    def _work(self) -> None:
        _be_nice()
        while build := self._next():
            self._step(build)

    def _next(self) -> _Build | None:
        with self._changed:
            self._changed.wait_for(lambda: self._open or self._stopping)
            return None if self._stopping else min(self._open.values(), key=lambda build: build.order)

    def _step(self, build: _Build) -> None:
        """Go on with a build to its next yield. Failures of what it works with end that build and no more."""

        def tick(done: int, total: int, message: str) -> None:
            with self._changed:
                build.state = State(BUILDING, done, total, message)
            if self._stopping or build.cancelled:
                raise Cancelled("The build was called off.")

        if build.cancelled:
            self._end(build)
            return
        try:
            if build.running is None:
                build.running = build.steps(tick)
            next(build.running)
        except (StopIteration, Cancelled):
            self._end(build)
        except (SptarError, OSError, RuntimeError, ValueError, MemoryError) as error:
            _log.warning("building %s failed", build.key[1], exc_info=error)
            self._end(build, _sentence(error))

    def _end(self, build: _Build, failure: str = "") -> None:
        if build.running is not None:
            build.running.close()
        with self._changed:
            del self._open[build.key]
            if failure:
                build.state = replace(build.state, state=FAILED, message=failure)
                build.ended = time.monotonic()
                self._failed[build.key] = build
                while len(self._failed) > _KEPT:
                    del self._failed[next(iter(self._failed))]
            self._changed.notify_all()


def _be_nice() -> None:
    """Lower the priority of this thread and of those that it starts (Linux has one for each thread)."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


def _sentence(error: Exception) -> str:
    if isinstance(error, SptarError):
        return str(error)
    if is_full_disk(error):
        return "The disk is full; free some space and try again."
    if isinstance(error, MemoryError):
        return "There is not enough memory; close other programs and try again."
    return (
        "Something went wrong that we did not foresee. Try again; if it happens once more, tell the person who runs "
        "this machine, who finds the reason in the log of the search service."
    )
