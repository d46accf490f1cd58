"""What the command line shows: progress with time left, the table of arms, a few generated queries."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table

from sptar_engine.pipeline import StageResult
from sptar_engine.stage import Progress
from sptar_engine.steps import Step

_LINE_EVERY = 15.0  # seconds between two lines of a stage where there is no terminal to draw on
_MEASURES = ("nDCG@10", "RR@10", "R@100", "AP")


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


def print_comparison(comparison: Mapping[str, Any]) -> None:
    """Print the arms with their measures, the interval of nDCG@10, and the verdicts against both baselines.

    Sentences follow: how the last arm stands, and which training ended below the untrained model on the dev queries.
    """
    table = Table(title=f"Arms on {comparison['dataset']}, test queries (95 % intervals)", title_justify="left")
    table.add_column("arm", no_wrap=True)
    for measure in _MEASURES:
        table.add_column(measure, justify="right", no_wrap=True)
    arms = comparison["arms"]
    baselines = [arm for arm in ("bm25", "zero_shot") if arm in arms]
    for baseline in baselines:
        table.add_column(f"against {baseline}")
    for arm, row in arms.items():
        first = row["nDCG@10"]
        cells = [f"{first['mean']:.3f} ({first['low']:.3f}-{first['high']:.3f})"]
        cells += [f"{row[measure]['mean']:.3f}" for measure in _MEASURES[1:]]
        cells += ["" if arm == baseline else _verdict(row["versus"][baseline]) for baseline in baselines]
        table.add_row(arm, *cells)
    console = _console()
    console.print(table)
    for line in _sentences(arms, comparison):
        console.print(line, markup=False, soft_wrap=True)


def print_queries(samples: Mapping[str, list[str]]) -> None:
    """Print generated queries, by arm."""
    console = _console()
    for arm, queries in samples.items():
        console.print(f"Generated queries ({arm}):")
        for query in queries:
            console.print(f"  - {query}", markup=False, soft_wrap=True)


def _sentences(arms: Mapping[str, Any], comparison: Mapping[str, Any]) -> Iterator[str]:
    from sptar_engine.evaluation.compare import sentence  # numpy and scipy

    last = list(arms)[-1]
    yield from (sentence(last, other, comparison) for other in ("bm25", "zero_shot") if other in arms and other != last)
    for row in arms.values():
        for training in row.get("training", ()):
            if training["kept_untrained"] or training["trained_below_untrained"]:
                yield f"{training['step']}: {training['sentence']}"


def _console() -> Console:
    # A log has no width of its own; the table must not be folded to 80 columns there.
    return Console(highlight=False, width=None if sys.stdout.isatty() else 160)


def _verdict(versus: Mapping[str, Any]) -> str:
    return f"{versus['difference']:+.3f} ({versus['low']:+.3f} to {versus['high']:+.3f}) {versus['verdict']}"


def _sentence(metrics: Mapping[str, Any]) -> str:
    if sentence := metrics.get("sentence"):
        return str(sentence)
    numbers = {name: value for name, value in metrics.items() if isinstance(value, int | float | str)}
    return ", ".join(f"{name} {_short(value)}" for name, value in list(numbers.items())[:6])


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _cut(text: str, width: int = 60) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
