"""How long a stage was worked on, in all attempts at it: what a stopped one took belongs to what its result cost."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sptar_engine.artifacts import read_json, write_json
from sptar_engine.errors import ArtifactError
from sptar_engine.stage import Progress

_FILE = "work_time.json"
_EVERY = 10.0  # seconds between two notes: a kill loses no more, and the last batch


class WorkTime:
    """A clock that starts where the attempt before stopped, which left its time in the stage's scratch folder.

    A time that cannot be noted, because the disk is full or the folder was handed to another attempt, is no reason to
    stop the work.
    """

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._earlier = self._read()
        self._start = self._noted = time.monotonic()

    @property
    def seconds(self) -> float:
        """Of all attempts up to now."""
        return self._earlier + time.monotonic() - self._start

    def timed(self, report: Callable[[Progress], None]) -> Callable[[Progress], None]:
        """The same report, which also notes the time if the last note is ten seconds old."""

        def tell(progress: Progress) -> None:
            self._tick()
            report(progress)

        return tell

    @contextmanager
    def noted_at_the_end(self) -> Iterator[None]:
        """Note the time when the block fails or is stopped.

        Not of the first seconds of an attempt that left nothing else: its folder then holds nothing worth keeping.
        """
        try:
            yield
        except BaseException:
            if self._scratch.is_dir():
                self._noted = -math.inf
            self._tick()
            raise

    def _tick(self) -> None:
        if time.monotonic() - self._noted >= _EVERY:
            self._noted = time.monotonic()
            with suppress(OSError):
                self._scratch.mkdir(exist_ok=True)  # not its parents: the attempt's folder may be another's by now
                write_json(self._scratch / _FILE, {"seconds": round(self.seconds, 3)})

    def _read(self) -> float:
        try:
            return float(read_json(self._scratch / _FILE)["seconds"])
        except (ArtifactError, KeyError, TypeError, ValueError):
            return 0.0
