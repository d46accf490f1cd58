"""The end of what the processes of an experiment's stages said, for whoever looks for a cause."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from webapp.models import StageRun, State
from webapp.places import log_file

_LINES = 25
_BYTES = 16_384  # of the end of a file that are read


@dataclass(frozen=True, slots=True)
class Tail:
    """The last lines of a stage's log."""

    stage: StageRun
    text: str


def tail_of(stages: Sequence[StageRun]) -> Tail | None:
    """Of the stage that failed last, else of the one that runs; None when nothing was said."""
    for wanted in (State.FAILED, State.RUNNING):
        for stage in reversed(stages):
            if stage.state == wanted and (text := _end(stage)):
                return Tail(stage, text)
    return None


def _end(stage: StageRun) -> str:
    try:
        with log_file(stage).open("rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - _BYTES))
            lines = stream.read().decode("utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    return "\n".join(lines[-_LINES:])
