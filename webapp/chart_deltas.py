"""Geometry of the plot of wins and losses: a bar for each question, from the largest gain to the largest loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from webapp.charts import Tick

MAX_BARS = 200
"""Beyond, only the largest gains and losses are drawn: narrower bars could not be told apart, nor hit."""

_WIDTH, _HEIGHT = 960, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 8, 16, 24
_TIE = 1e-9
_STEPS = (0.1, 0.2, 0.25, 0.5)  # between the numbers of the axis


@dataclass(frozen=True, slots=True)
class Delta:
    """A question with its value under one search (`theirs`) and under the other (`ours`)."""

    key: str
    label: str
    ours: float
    theirs: float
    url: str = ""

    @property
    def difference(self) -> float:
        """Positive where ours is better."""
        return self.ours - self.theirs

    @property
    def outcome(self) -> str:
        """win, loss or tie."""
        if abs(self.difference) < _TIE:
            return "tie"
        return "win" if self.difference > 0 else "loss"


@dataclass(frozen=True, slots=True)
class DeltaBar:
    """A drawn question; the place to press is as high as the plot (`x`, `slot`)."""

    delta: Delta
    x: float
    slot: float
    bar_x: float
    width: float
    y: float
    height: float
    title: str


@dataclass(frozen=True, slots=True)
class DeltaPlot:
    """For templates/charts/_deltas.html."""

    key: str
    title: str
    description: str
    ours: str
    theirs: str
    measure: str
    bars: tuple[DeltaBar, ...]
    ticks: tuple[Tick, ...]
    zero: float
    wins: int
    ties: int
    losses: int
    width: int = _WIDTH
    height: int = _HEIGHT
    left: int = _LEFT
    right: int = _WIDTH - _RIGHT
    top: int = _TOP
    bottom: int = _HEIGHT - _BOTTOM

    @property
    def area(self) -> int:
        """The height in which a bar can be pressed."""
        return self.bottom - self.top

    @property
    def questions(self) -> int:
        """How many were compared."""
        return self.wins + self.ties + self.losses

    @property
    def is_cut(self) -> bool:
        """Whether some are not drawn."""
        return self.questions > len(self.bars)


def ordered(deltas: Sequence[Delta]) -> list[Delta]:
    """The largest gain first; equal ones by their key."""
    return sorted(deltas, key=lambda one: (-one.difference, one.key))


def draw_deltas(*, key: str, ours: str, theirs: str, measure: str, deltas: Sequence[Delta]) -> DeltaPlot | None:
    """Draw the differences of two searches, question by question; None when there is none."""
    if not deltas:
        return None
    counts = {outcome: sum(one.outcome == outcome for one in deltas) for outcome in ("win", "tie", "loss")}
    drawn = _drawn(ordered(deltas))
    reach = max(0.1, max(abs(one.difference) for one in drawn))
    step = next((step for step in _STEPS if step * 4 >= reach), 0.5)
    edge = math.ceil(reach / step - 1e-9) * step
    slot = (_WIDTH - _LEFT - _RIGHT) / len(drawn)
    return DeltaPlot(
        key, f"{ours} against {theirs}, question by question",
        f"{measure} of each test question: better for {counts['win']}, the same for {counts['tie']} and worse for "
        f"{counts['loss']} of {len(deltas)} questions.",
        ours, theirs, measure,
        tuple(_bar(one, at, slot, edge) for at, one in enumerate(drawn)),
        tuple(Tick(_y(value, edge), f"{value:+.3g}" if value else "0") for value in _values(step, edge)),
        _y(0, edge), counts["win"], counts["tie"], counts["loss"],
    )  # fmt: skip


def _drawn(deltas: list[Delta]) -> list[Delta]:
    """The largest gains and losses when there are more than can be drawn."""
    if len(deltas) <= MAX_BARS:
        return deltas
    largest = sorted(deltas, key=lambda one: (-abs(one.difference), one.key))[:MAX_BARS]
    return ordered(largest)


def _values(step: float, edge: float) -> list[float]:
    count = round(edge / step)
    return [round(number * step, 10) for number in range(-count, count + 1)]


def _y(value: float, edge: float) -> float:
    share = (edge - value) / (2 * edge)
    return round(_TOP + share * (_HEIGHT - _TOP - _BOTTOM), 1)


def _bar(delta: Delta, at: int, slot: float, edge: float) -> DeltaBar:
    x = _LEFT + at * slot
    zero, end = _y(0, edge), _y(delta.difference, edge)
    # A tie is a low bar across the axis, so that it can be seen and pressed.
    top, height = (zero - 1.5, 3.0) if delta.outcome == "tie" else (min(zero, end), max(1.0, abs(end - zero)))
    gap = min(2.0, slot * 0.2)
    title = f"{delta.label}: {delta.ours:.3f} against {delta.theirs:.3f} ({delta.difference:+.3f})"
    return DeltaBar(
        delta, round(x, 2), round(slot, 2), round(x + gap / 2, 2), round(slot - gap, 2), round(top, 1),
        round(height, 1), title,
    )  # fmt: skip
