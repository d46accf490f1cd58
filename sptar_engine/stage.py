"""What a stage is given and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sptar_engine.errors import Cancelled, StageError

SCRATCH = "scratch"
"""Folder below `out_dir` for shards and checkpoints: kept by a stopped attempt, removed when the stage is done."""

Number = float | int


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of a stage: `done` of `total` units, a sentence, and the numbers to draw."""

    stage: str
    done: int
    total: int
    message: str
    metrics: Mapping[str, Number | str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class StageContext:
    """Where a stage reads and writes, and how it talks.

    `inputs` maps a role, such as `prepare`, to a finished folder (or `dataset`, `decisions` to what the user gave).
    `cache` holds derived data named by content that any stage may use or rebuild (a Lucene index); nothing in it
    is a result. `models` is the folder of converted and added models. `device` is a torch device name.
    """

    stage: str
    out_dir: Path
    inputs: Mapping[str, Path]
    cache: Path
    models: Path
    device: str = "cpu"
    report: Callable[[Progress], None] = lambda progress: None
    should_stop: Callable[[], bool] = lambda: False

    @property
    def scratch(self) -> Path:
        """The folder for what only a resumed attempt needs; made when first asked for."""
        folder = self.out_dir / SCRATCH
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def input(self, role: str) -> Path:
        """The folder of an input that must be there. Raises StageError when the caller left it out."""
        if role not in self.inputs:
            raise StageError(f"The stage {self.stage} needs the result of {role} as an input, and was not given it.")
        return self.inputs[role]

    def tick(self, done: int, total: int, message: str, **metrics: Number | str) -> None:
        """Report progress, once per batch. Raises Cancelled when the run was asked to stop."""
        self.report(Progress(self.stage, done, total, message, metrics))
        if self.should_stop():
            raise Cancelled(f"Stopped during {self.stage}. Start the same command again to go on from here.")


@dataclass(frozen=True, slots=True)
class StageOutput:
    """The numbers a finished stage shows. Its files are whatever it left in `out_dir`, scratch excepted."""

    metrics: Mapping[str, Any]
