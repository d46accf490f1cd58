"""Geometry of a chart of means with their intervals: a line for each search, its mean marked on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from webapp.charts import Table, Tick

_WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM = 640, 205, 56, 6, 26
_ROW, _TALL_ROW = 28, 40  # of names in one line and in two
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.25)
_TICKS = 6
_LONGEST = 30  # letters of a line, left of the scale


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean with its 95 % interval."""

    name: str
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class IntervalBar:
    """A drawn interval. `kind` is the second line of a long name."""

    name: str
    kind: str
    y: int
    start: float
    end: float
    middle: float
    text: str


@dataclass(frozen=True, slots=True)
class Intervals:
    """For templates/charts/_intervals.html."""

    key: str
    title: str
    description: str
    bars: tuple[IntervalBar, ...]
    ticks: tuple[Tick, ...]
    table: Table
    height: int
    top: int = _TOP
    bottom: int = 0
    left: int = _LEFT
    right: int = _WIDTH - _RIGHT
    width: int = _WIDTH


def draw_intervals(*, key: str, title: str, description: str, means: Sequence[Mean]) -> Intervals | None:
    """Draw means below each other on one scale; None when there is none."""
    if not means:
        return None
    low, high = min(one.low for one in means), max(one.high for one in means)
    step = next((step for step in _STEPS if (high - low) / step <= _TICKS), _STEPS[-1])
    first, last = int(low / step + 1e-9), int(high / step - 1e-9) + 1
    scale = [round(number * step, 10) for number in range(first, max(last, first + 1) + 1)]
    span = scale[-1] - scale[0]

    def place(value: float) -> float:
        return round(_LEFT + (value - scale[0]) / span * (_WIDTH - _LEFT - _RIGHT), 1)

    row = _TALL_ROW if any(_lines(one.name)[1] for one in means) else _ROW
    bars = tuple(
        IntervalBar(name, kind, _TOP + number * row + row // 2, place(one.low), place(one.high), place(one.mean),
                    f"{one.mean:.3f}")
        for number, one in enumerate(means) for name, kind in [_lines(one.name)]
    )  # fmt: skip
    rows = tuple((one.name, f"{one.mean:.3f}", f"{one.low:.3f}", f"{one.high:.3f}") for one in means)
    bottom = _TOP + len(means) * row
    return Intervals(
        key, title, description, bars, tuple(Tick(place(value), f"{value:g}") for value in scale),
        Table(("Search", "Mean", "95 % from", "to"), rows), bottom + _BOTTOM, bottom=bottom,
    )  # fmt: skip


def _lines(name: str) -> tuple[str, str]:
    """A name that is too long for one line goes on in a second one after its first comma."""
    first, _, rest = name.partition(", ")
    return (first, rest) if len(name) > _LONGEST else (name, "")
