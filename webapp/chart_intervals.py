"""Geometry of a chart of means with their intervals: a line for each search, its mean marked on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from webapp.charts import Table, Tick

_WIDTH, _LEFT, _RIGHT, _TOP, _ROW, _BOTTOM = 640, 205, 56, 6, 28, 26
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.25)
_TICKS = 6


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean with its 95 % interval."""

    name: str
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class IntervalBar:
    """A drawn interval."""

    name: str
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

    bars = tuple(
        IntervalBar(one.name, _TOP + number * _ROW + _ROW // 2, place(one.low), place(one.high), place(one.mean),
                    f"{one.mean:.3f}")
        for number, one in enumerate(means)
    )  # fmt: skip
    rows = tuple((one.name, f"{one.mean:.3f}", f"{one.low:.3f}", f"{one.high:.3f}") for one in means)
    bottom = _TOP + len(means) * _ROW
    return Intervals(
        key, title, description, bars, tuple(Tick(place(value), f"{value:g}") for value in scale),
        Table(("Search", "Mean", "95 % from", "to"), rows), bottom + _BOTTOM, bottom=bottom,
    )  # fmt: skip
