"""Geometry of the charts that the server draws as SVG (templates/charts): lines over steps, and a histogram.

Nothing here knows what is drawn. A chart carries its numbers as a table too, for those who cannot see it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 640, 280  # units of the viewBox; the page scales it
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 16, 16, 44  # room for the numbers, the last point, the first line and the axis name
_MARK = 4.0  # half the size of a point's mark
_SHAPES = ("circle", "square", "triangle", "diamond")  # beside colour and dash, so that colour says nothing alone
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)  # distances between ticks that people read easily
MOST_LINES = 4  # that the eye and the shapes tell apart
_FEW_POINTS = 40  # beyond, marks would run into each other
MAX_POINTS = 400  # of a drawn line; more than the pixels of a phone

_ROW, _ROW_LEFT, _ROW_LENGTH = 26, 92, 160  # of a chart of rows: height of each, where bars begin, the longest bar

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Series:
    """A named line. Points need not be sorted."""

    name: str
    points: Sequence[Point]


@dataclass(frozen=True, slots=True)
class Tick:
    """A number on an axis and where it stands."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A point's shape, as the attribute `d` of a path."""

    d: str
    title: str


@dataclass(frozen=True, slots=True)
class Line:
    """A drawn series. `number` (1 to 4) picks colour, dash and shape; `legend` is the mark in the legend."""

    name: str
    number: int
    path: str
    marks: tuple[Mark, ...]
    legend: str


@dataclass(frozen=True, slots=True)
class Best:
    """The point that a chart points out."""

    x: float
    y: float
    text: str
    text_x: float
    text_y: float
    anchor: str


@dataclass(frozen=True, slots=True)
class Table:
    """The numbers of a chart as text."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """What every chart has: title and description for screen readers, axes, the table."""

    key: str
    title: str
    description: str
    x_name: str
    y_name: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    table: Table
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    top: int = _TOP
    bottom: int = HEIGHT - _BOTTOM


@dataclass(frozen=True, slots=True)
class LineChart:
    """For templates/charts/_lines.html."""

    frame: Frame
    lines: tuple[Line, ...]
    best: Best | None
    intervals: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a histogram."""

    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True, slots=True)
class Histogram:
    """For templates/charts/_bars.html."""

    frame: Frame
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class RowBar:
    """A bar from left to right with its name before it and its count behind it."""

    name: str
    count: str
    y: int
    width: float
    height: int
    text_y: int
    end: float


@dataclass(frozen=True, slots=True)
class Rows:
    """For templates/charts/_rows.html."""

    key: str
    title: str
    description: str
    bars: tuple[RowBar, ...]
    table: Table
    height: int
    width: int = 320
    left: int = _ROW_LEFT


def draw_lines(
    *,
    key: str,
    title: str,
    description: str,
    x_name: str,
    y_name: str,
    series: Sequence[Series],
    best: tuple[Point, str] | None = None,
    whole_x: bool = True,
    intervals: Sequence[tuple[float, float, float]] = (),
) -> LineChart | None:
    """Draw up to four lines; None when no series has a point.

    `key` makes the ids of the page unique. `best` is a point to mark, and its label.
    `whole_x` keeps the ticks of the x axis whole numbers. `intervals` (x, low, high) belong to the first line.
    """
    drawn = [Series(one.name, _thinned(sorted(one.points))) for one in series if one.points][:MOST_LINES]
    if not drawn:
        return None
    xs = [x for one in drawn for x, _ in one.points]
    ys = [y for one in drawn for _, y in one.points] + [end for _, *ends in intervals for end in ends]
    x_axis, y_axis = _ticks(min(xs), max(xs), 8, whole=whole_x), _ticks(min(ys), max(ys), 5)
    place = _Place(x_axis, y_axis)
    frame = Frame(
        key, title, description, x_name, y_name,
        tuple(Tick(place.x(value), show(value)) for value in x_axis),
        tuple(Tick(place.y(value), show(value)) for value in y_axis),
        _line_table(x_name, drawn),
    )  # fmt: skip
    lines = tuple(_line(one, number, place) for number, one in enumerate(drawn, 1))
    bars = tuple(_interval(one, place) for one in intervals)
    return LineChart(frame, lines, _best(*best, place) if best else None, bars)


def draw_histogram(
    *,
    key: str,
    title: str,
    description: str,
    x_name: str,
    y_name: str,
    values: Sequence[float] = (),
    counts: Sequence[tuple[float, int]] = (),
) -> Histogram | None:
    """Draw how often values occur: of raw `values`, or of `counts` already made (value, how many). None if empty.

    Whole numbers in a narrow range get a bar each, others up to twenty equal bins.
    """
    weighted = [*((value, 1) for value in values), *counts]
    if not weighted:
        return None
    bins = _bins(weighted)
    x_axis = _ticks(bins[0][0], bins[-1][1], 8, whole=True)
    place = _Place((bins[0][0], bins[-1][1]), _ticks(0, max(count for _, _, count in bins), 4, whole=True))
    frame = Frame(
        key, title, description, x_name, y_name,
        tuple(Tick(place.x(value), show(value)) for value in x_axis if bins[0][0] <= value <= bins[-1][1]),
        tuple(Tick(place.y(value), show(value)) for value in place.ys),
        Table((x_name, y_name), tuple((_range(low, high), f"{count:,}") for low, high, count in bins)),
    )  # fmt: skip
    return Histogram(frame, tuple(_bar(low, high, count, place) for low, high, count in bins))


def draw_rows(
    *, key: str, title: str, description: str, names: tuple[str, str], rows: Sequence[tuple[str, int]]
) -> Rows | None:
    """Draw counts of named groups as bars below each other, for narrow places. None if all are 0.

    `names` are those of the groups and of the counts.
    """
    most = max((count for _, count in rows), default=0)
    if not most:
        return None
    bars = tuple(_row(number, name, count, count / most) for number, (name, count) in enumerate(rows))
    table = Table(names, tuple((name, f"{count:,}") for name, count in rows))
    return Rows(key, title, description, bars, table, height=_ROW * len(rows))


def show(value: float) -> str:
    """A number for an axis or a table: whole, or with at most three significant digits behind the point."""
    if not math.isfinite(value):
        return "-"
    if abs(value - round(value)) < 1e-9:
        return f"{round(value):,}"
    return f"{value:,.1f}" if abs(value) >= 100 else f"{value:.3g}"


@dataclass(frozen=True)
class _Place:
    """Turns values into places on the drawing; the axes run from their first to their last tick."""

    xs: Sequence[float]
    ys: Sequence[float]

    def x(self, value: float) -> float:
        return round(_LEFT + self._share(value, self.xs) * (WIDTH - _LEFT - _RIGHT), 1)

    def y(self, value: float) -> float:
        return round(HEIGHT - _BOTTOM - self._share(value, self.ys) * (HEIGHT - _TOP - _BOTTOM), 1)

    @staticmethod
    def _share(value: float, axis: Sequence[float]) -> float:
        return (value - axis[0]) / (axis[-1] - axis[0])


def _ticks(low: float, high: float, wanted: int, *, whole: bool = False) -> tuple[float, ...]:
    """About `wanted` round numbers that enclose `low` and `high`; at least two, so that the axis has a length."""
    if high - low < 1e-9:
        spread = 1.0 if whole else max(abs(high), 1.0) * 0.1
        low, high = (low, high + spread) if whole else (low - spread, high + spread)
    raw = (high - low) / max(1, wanted - 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in _STEPS if factor * power >= raw * (1 - 1e-9))
    if whole:
        step = max(1.0, float(math.ceil(step)))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return tuple(round(number * step, 10) for number in range(first, max(last, first + 1) + 1))


def _thinned(points: Sequence[Point]) -> list[Point]:
    """At most MAX_POINTS of the points, evenly spread, the first and the last always among them."""
    if len(points) <= MAX_POINTS:
        return list(points)
    last = len(points) - 1
    return [points[round(number * last / (MAX_POINTS - 1))] for number in range(MAX_POINTS)]


def _line(series: Series, number: int, place: _Place) -> Line:
    spots = [(place.x(x), place.y(y)) for x, y in series.points]
    path = " ".join(f"{'L' if at else 'M'}{x:g} {y:g}" for at, (x, y) in enumerate(spots))
    shape = _SHAPES[number - 1]
    few = len(spots) <= _FEW_POINTS
    marks = tuple(
        Mark(_shape(shape, *spot), f"{series.name}: {show(point[1])} at {show(point[0])}")
        for spot, point in zip(spots, series.points, strict=True)
        if few
    )
    return Line(series.name, number, path, marks, _shape(shape, 14.0, 7.0))


def _interval(interval: tuple[float, float, float], place: _Place) -> Mark:
    """A line from the low to the high end, with a foot at each."""
    x, low, high = place.x(interval[0]), place.y(interval[1]), place.y(interval[2])
    foot = f"h{2 * _MARK:g}"
    d = f"M{x - _MARK:g} {high:g}{foot}M{x:g} {high:g}V{low:g}M{x - _MARK:g} {low:g}{foot}"
    return Mark(d, f"{show(interval[1])} to {show(interval[2])} at {show(interval[0])}")


def _shape(shape: str, x: float, y: float) -> str:
    size = _MARK
    if shape == "circle":
        return f"M{x - size:g} {y:g}a{size:g} {size:g} 0 1 0 {2 * size:g} 0a{size:g} {size:g} 0 1 0 {-2 * size:g} 0z"
    if shape == "square":
        return f"M{x - size:g} {y - size:g}h{2 * size:g}v{2 * size:g}h{-2 * size:g}z"
    if shape == "triangle":
        return f"M{x:g} {y - 1.2 * size:g}l{1.2 * size:g} {2.1 * size:g}h{-2.4 * size:g}z"
    return f"M{x:g} {y - 1.3 * size:g}l{1.3 * size:g} {1.3 * size:g}l{-1.3 * size:g} {1.3 * size:g}l{-1.3 * size:g} {-1.3 * size:g}z"  # noqa: E501  one path


def _best(point: Point, text: str, place: _Place) -> Best:
    """The ring round a point; its label stands above it, or below when there is no room, and never beyond an edge."""
    x, y = place.x(point[0]), place.y(point[1])
    anchor = "start" if x < _LEFT + 80 else "end" if x > WIDTH - _RIGHT - 80 else "middle"
    return Best(x, y, text, x, round(y - 14 if y > _TOP + 24 else y + 24, 1), anchor)


def _line_table(x_name: str, series: Sequence[Series]) -> Table:
    xs = sorted({x for one in series for x, _ in one.points})
    columns = [dict(one.points) for one in series]
    rows = tuple((show(x), *(show(column[x]) if x in column else "" for column in columns)) for x in _spread(xs, 60))
    return Table((x_name, *(one.name for one in series)), rows)


def _spread(values: list[float], most: int) -> list[float]:
    """At most `most` of the values, the first and the last always among them."""
    if len(values) <= most:
        return values
    return [values[round(number * (len(values) - 1) / (most - 1))] for number in range(most)]


def _bins(weighted: Sequence[tuple[float, int]]) -> list[tuple[float, float, int]]:
    """(low, high, count) of each bin; a value belongs to the bin with low <= value < high."""
    low, high = min(value for value, _ in weighted), max(value for value, _ in weighted)
    whole = all(float(value).is_integer() for value, _ in weighted)
    width = max(1.0, math.ceil((high - low + 1) / 20)) if whole else (high - low) / 20 or 1.0
    number = max(1, math.floor((high - low) / width + 1e-9) + 1)
    tally = [0] * number
    for value, count in weighted:
        tally[min(number - 1, int((value - low) / width))] += count
    return [(low + at * width, low + (at + 1) * width, count) for at, count in enumerate(tally)]


def _range(low: float, high: float) -> str:
    return show(low) if high - low == 1 and float(low).is_integer() else f"{show(low)} to under {show(high)}"


def _bar(low: float, high: float, count: int, place: _Place) -> Bar:
    left, right, top = place.x(low), place.x(high), place.y(count)
    return Bar(
        left + 1, top, round(max(1.0, right - left - 2), 1), round(HEIGHT - _BOTTOM - top, 1),
        f"{_range(low, high)}: {count:,}",
    )  # fmt: skip


def _row(number: int, name: str, count: int, share: float) -> RowBar:
    width = round(max(1.0 if count else 0.0, share * _ROW_LENGTH), 1)
    top = number * _ROW
    return RowBar(name, f"{count:,}", top + 5, width, _ROW - 10, top + 17, _ROW_LEFT + width + 6)
