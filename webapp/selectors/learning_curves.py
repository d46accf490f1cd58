"""Learning curves: how good the search is by the number of examples, and whether more of them would help."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from sptar_engine.arms import cell
from sptar_engine.artifacts import read_json
from sptar_engine.errors import SptarError
from sptar_engine.evaluation.run_lines import METRICS_FILE
from webapp.charts import LineChart, Series, draw_lines
from webapp.models import Change, Experiment, Project, State
from webapp.selectors.comparisons import MAIN, untrained_of
from webapp.selectors.measured import Version, evaluations, scores_of, versions_of
from webapp.selectors.words import arm_name, plural

MORE = 50
"""Further examples that the sentence speaks of."""

_WORTH = 0.01  # of nDCG@10: less is not worth an afternoon of labelling
_FEW = 6  # test questions below which no interval is given
_LISTED = 20
_Z = 1.959964  # the normal distribution's 97.5 % point


@dataclass(frozen=True, slots=True)
class Point:
    """One number of examples: its experiment, and the measure with its 95 % interval once it is there."""

    size: int
    experiment: Experiment
    version: Version
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    base: float | None = None
    """What the untrained model reaches on the same questions."""
    repeats: Sequence[float] = ()
    """The measure of each training, where there are several."""


@dataclass(frozen=True, slots=True)
class Gain:
    """What more examples would bring, with a 95 % interval: `state` is yes, no or open."""

    mean: float
    low: float
    high: float
    questions: int

    @property
    def state(self) -> str:
        """Whether more examples would help by as much as is worth the work."""
        if self.low > 0 and self.mean >= _WORTH:
            return "yes"
        return "no" if self.high < _WORTH else "open"


@dataclass(frozen=True, slots=True)
class Curve:
    """A series of experiments. `sentence` answers whether more examples would help.

    `is_mixed` says that points were measured again by judgements that not all of them have, so that all are shown by
    those of their start.
    """

    series: str
    arm: str
    name: str
    base: Experiment
    points: list[Point]
    open: list[Experiment]
    stuck: list[Experiment]
    seeds: int
    gain: Gain | None
    sentence: str
    chart: LineChart | None
    is_mixed: bool


@dataclass(frozen=True, slots=True)
class Listed:
    """A curve in the list."""

    series: str
    name: str
    sizes: list[int]
    done: int
    first: Experiment


def list_curves(project: Project) -> list[Listed]:
    """The newest curves. One query."""
    rows = project.experiments.filter(change=Change.SEEDS).exclude(series="").order_by("-number")
    found: dict[str, list[Experiment]] = {}
    for row in rows.defer("comparison", "machine", "note")[: 8 * _LISTED]:
        found.setdefault(row.series, []).append(row)
    return [
        Listed(
            series, arm_name(_cell(several[0])), sorted(_size(row) for row in several),
            sum(row.state == State.DONE for row in several), several[-1],
        )
        for series, several in list(found.items())[:_LISTED]
    ]  # fmt: skip


def curve_of(project: Project, series: str) -> Curve | None:
    """The curve of a series, with what is measured so far; None when there is no such series."""
    rows = project.experiments.filter(series=series, change=Change.SEEDS).exclude(series="")
    experiments = sorted(rows.select_related("based_on"), key=lambda row: (_size(row), row.number))
    if not experiments:
        return None
    for row in experiments:
        row.project = project
    arm = _cell(experiments[0])
    versions, is_mixed = _versions(experiments)
    points = [_point(row, version, arm) for row, version in zip(experiments, versions, strict=True)]
    measured = [point for point in points if point.mean is not None]
    gain = _gain(measured, arm) if len(measured) == len(points) else None
    return Curve(
        series=series, arm=arm, name=arm_name(arm), base=experiments[0].based_on or experiments[0], points=points,
        open=[row for row in experiments if not State(row.state).is_over],
        stuck=[row for row in experiments if row.state in (State.FAILED, State.CANCELLED)],
        seeds=experiments[0].seeds, gain=gain, sentence=_sentence(gain, points, measured),
        chart=_chart(series, measured, arm), is_mixed=is_mixed,
    )  # fmt: skip


def expected_gain(sizes: Sequence[int], per_question: Sequence[Mapping[str, float]], more: int = MORE) -> Gain | None:
    """What `more` examples beyond the largest size would bring, if the curve goes on as it went.

    Each test question has its own least-squares slope over log2 of the number of examples; their mean times the step
    from the last size is the gain, and Student's t over the questions its interval. So what is hard about a question
    cancels out. The chance that is in a training is not in the interval. None for fewer than two sizes or 6 questions.
    """
    shared = set.intersection(*(set(values) for values in per_question)) if per_question else set()
    if len(set(sizes)) < 2 or min(sizes) < 1 or len(shared) < _FEW:
        return None
    xs = [math.log2(size) for size in sizes]
    middle = fmean(xs)
    spread = sum((x - middle) ** 2 for x in xs)
    step = math.log2(sizes[-1] + more) - math.log2(sizes[-1])
    gains = [
        step * sum((x - middle) * values[question] for x, values in zip(xs, per_question, strict=True)) / spread
        for question in sorted(shared)
    ]
    mean, error = fmean(gains), stdev(gains) / math.sqrt(len(gains))
    half = student_t(len(gains) - 1) * error
    return Gain(mean, mean - half, mean + half, len(gains))


def student_t(freedom: int) -> float:
    """The 97.5 % point of Student's t by Fisher's expansion; 0.2 % off at 5 degrees of freedom, less beyond."""
    z = _Z
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3


def _cell(experiment: Experiment) -> str:
    """The search whose curve it is; a hybrid stands behind the bi-encoder that it is made of."""
    return cell(experiment.arms[-1], experiment.families[-1])


def _size(experiment: Experiment) -> int:
    return int(experiment.counts.get("train", 0))


def _versions(experiments: Sequence[Experiment]) -> tuple[list[Version], bool]:
    """For each point the figures by the newest judgements, if these are the same for all; else those of the start."""
    known = [versions_of(experiment) for experiment in experiments]
    is_mixed = len({(versions[0].number > 0, versions[0].qrels) for versions in known}) > 1
    return [versions[-1 if is_mixed else 0] for versions in known], is_mixed


def _point(experiment: Experiment, version: Version, arm: str) -> Point:
    size, arms = _size(experiment), version.arms
    if experiment.state != State.DONE or MAIN not in arms.get(arm, {}):
        return Point(size, experiment, version)
    found, base = arms[arm][MAIN], arms.get(untrained_of(arm), {}).get(MAIN, {})
    repeats = _repeats(experiment, arm) if experiment.seeds > 1 and not version.number else []
    return Point(size, experiment, version, found["mean"], found["low"], found["high"], base.get("mean"), repeats)


def _repeats(experiment: Experiment, arm: str) -> list[float]:
    """The measure of each training, as far as it is on the disk; later judgements keep only their mean."""
    try:
        return [read_json(folder / METRICS_FILE)["mean"][MAIN] for folder in evaluations(experiment).get(arm, [])]
    except (SptarError, KeyError):
        return []


def _gain(points: Sequence[Point], arm: str) -> Gain | None:
    scores = [scores_of(point.experiment, point.version).get(arm, {}).get(MAIN, {}) for point in points]
    return expected_gain([point.size for point in points], scores)


def _sentence(gain: Gain | None, points: Sequence[Point], measured: Sequence[Point]) -> str:
    if len(measured) < len(points):
        count = len(points) - len(measured)
        return f"{count} of {len(points)} {plural(len(points), 'point')} of the curve {_is(count)} not measured yet."
    if gain is None:
        return "There are too few test examples to say whether more examples would help."
    numbers = (
        f"{gain.mean:+.3f} in nDCG@10 (95 % between {gain.low:+.3f} and {gain.high:+.3f}, {gain.questions:,} test "
        f"{plural(gain.questions, 'example')}) if the curve goes on as it went"
    )
    return {
        "yes": f"Would {MORE} more examples help? Likely yes: about {numbers}.",
        "no": f"Would {MORE} more examples help? Hardly: {numbers}.",
        "open": f"Would {MORE} more examples help? Cannot tell from this: {numbers}.",
    }[gain.state]


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def _chart(series: str, points: Sequence[Point], arm: str) -> LineChart | None:
    drawn = [(float(point.size), point) for point in points if point.mean is not None]
    lines = [
        Series(arm_name(arm), [(x, point.mean or 0.0) for x, point in drawn]),
        Series("untrained model", [(x, point.base) for x, point in drawn if point.base is not None]),
    ]
    intervals = [(x, point.low or 0.0, point.high or 0.0) for x, point in drawn]
    said = ", ".join(f"{point.size} examples {point.mean:.3f}" for _, point in drawn)
    return draw_lines(
        key=f"curve-{series}", title="How good the first ten results are, by the number of training examples",
        description=f"nDCG@10 of “{arm_name(arm)}”: {said}.", x_name="training examples",
        y_name="nDCG@10 with its 95 % interval", series=lines, intervals=intervals,
    )  # fmt: skip
