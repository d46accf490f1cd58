"""What the command line shows while it works: progress with time left, and a line for each finished step."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from sptar_engine.pipeline import StageResult
from sptar_engine.stage import Progress
from sptar_engine.steps import Step

_LINE_EVERY = 15.0  # seconds between two lines of a stage where there is no terminal to draw on


class Board:
    """Shows the running step on standard error: a bar on a terminal, a line now and then in a log."""

    def __init__(self, total: int = 1) -> None:
        self.console = Console(stderr=True, highlight=False)
        self._total = total
        self._place = 0
        self._bars: Bars | None = None
        self._last_line = 0.0
        self._step = ""

    def start(self, step: Step) -> None:
        """A step begins."""
        self.begin(step.step_id)

    def begin(self, step_id: str) -> None:
        """A step, by name, begins."""
        self._place += 1
        self._step = step_id
        self._last_line = time.monotonic()
        if self.console.is_terminal:
            columns = (
                TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
                TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(), TextColumn("{task.fields[note]}"),
            )  # fmt: skip
            self._bars = Bars(*columns, console=self.console, transient=True)
            self._bars.add_task(f"[{self._place}/{self._total}] {step_id}", total=None, note="")
            self._bars.start()

    def show(self, progress: Progress) -> None:
        """A batch of the running step is done."""
        note = " ".join([progress.message, *(f"{name} {_short(value)}" for name, value in progress.metrics.items())])
        if self._bars:
            task = self._bars.task_ids[0]
            self._bars.update(task, completed=progress.done, total=progress.total, note=_cut(note))
        elif time.monotonic() - self._last_line > _LINE_EVERY:
            self._last_line = time.monotonic()
            self._print(f"{self._step}: {progress.done}/{progress.total} {note}")

    def finish(self, step: Step, result: StageResult) -> None:
        """A step is done, or was found done."""
        self.close()
        how = "from the cache" if result.reused else f"{result.seconds:.1f} s"
        self._print(f"[{self._place}/{self._total}] {step.step_id}: {how}. {_sentence(result.metrics)}".rstrip())

    def close(self) -> None:
        """Take the bar away."""
        if self._bars:
            self._bars.stop()
            self._bars = None

    def _print(self, text: str) -> None:
        self.console.print(text, markup=False, soft_wrap=True)


def _sentence(metrics: Mapping[str, Any]) -> str:
    if sentence := metrics.get("sentence"):
        return str(sentence)
    numbers = {name: value for name, value in metrics.items() if isinstance(value, int | float | str)}
    return ", ".join(f"{name} {_short(value)}" for name, value in list(numbers.items())[:6])


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _cut(text: str, width: int = 60) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
