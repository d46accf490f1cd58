"""The curves of an experiment, from the points that its stages report, and sentences that read them."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sptar_engine.arms import BI_ENCODER, FAMILIES
from webapp.charts import LineChart, Point, Series, draw_lines
from webapp.models import CurvePoint, StageRun, State
from webapp.selectors.thresholds import FEW_HELDOUT
from webapp.selectors.words import (
    arm_name,
    family_name,
    is_first_round,
    is_teacher,
    plural,
    repeat_of,
    stage_title,
    turn_of,
    variant_name,
)

_MEASURE = "dev_nDCG@10"
_AROUND = frozenset({"mine", "teach", "fuse"})
_MOST_POINTS = 20_000  # that are read for a page; of a stage webapp.jobs.curves keeps about 500
_MOST_NATS = 20.0  # of a loss that is drawn: beyond, a line says nothing but "far off"


@dataclass(frozen=True, slots=True)
class Curve:
    """A chart and the sentence that reads it; `warning` says when it should not be trusted."""

    chart: LineChart | None
    sentence: str
    warning: str = ""


@dataclass(frozen=True, slots=True)
class FamilyCurves:
    """The trainings of one kind of search models; `family` names it."""

    family: str
    held_out: LineChart | None
    loss: LineChart | None


@dataclass(frozen=True, slots=True)
class Training:
    """The curves of the trainings of an experiment by family, and each training's own sentence."""

    charts: list[FamilyCurves]
    left_out: str
    """Which trainings have no line, as a sentence; empty when all have one."""
    sentences: list[tuple[str, str]]
    running: list[str]
    around: list[tuple[str, str]]
    """What hard negatives, teachers and hybrids came to, in a sentence by the title of the step."""


def tuning(stage: StageRun) -> Curve:
    """How the surprise of the question writer falls, pass by pass."""
    points = _points([stage])[stage.pk]
    held_out = dict(_column(points, "epoch", "heldout_perplexity"))
    # A loss is in nats per word piece; its exponential is the perplexity that the other line shows.
    train = [(at, math.exp(min(loss, _MOST_NATS))) for at, loss in _column(points, "epoch", "train_loss")]
    best = min(held_out, key=lambda at: (held_out[at], at), default=None)
    sentence = read_passes(held_out, is_over=State(stage.state).is_over)
    count = stage.metrics.get("heldout_queries", stage.experiment.counts.get("dev", 0))
    few = f"Only {count} held-out {plural(count, 'example')}: too few to choose the best step."
    chart = draw_lines(
        key=f"tune-{stage.pk}",
        title="Surprise of the question writer, pass by pass",
        description=sentence,
        x_name="pass over the examples",
        y_name="Surprise (perplexity), lower is better",
        series=[
            Series("held-out examples", list(held_out.items())),
            Series("training examples", train),
        ],
        best=None if best is None else ((best, held_out[best]), f"best: {_short(held_out[best])}"),
    )
    return Curve(chart, sentence, few if count < FEW_HELDOUT else "")


def read_passes(held_out: Mapping[float, float], *, is_over: bool) -> str:
    """Say what the curve shows: where surprise stood first, where it is best. Pass 0 is before the first one."""
    if not held_out:
        return "No pass was finished." if is_over else "The first number comes after the first pass over the examples."
    first = min(held_out)
    best = min(held_out, key=lambda at: (held_out[at], at))
    if best == first:
        start = "the start" if first == 0 else f"pass {first:g}"
        if len(held_out) == 1 and not is_over:
            return f"After {start} the surprise about the held-out examples is {_short(held_out[first])}."
        return f"No pass was better than {start}: surprise about the held-out examples is {_short(held_out[first])}."
    tail = "" if is_over else " so far"
    return f"Surprise fell from {_short(held_out[first])} to {_short(held_out[best])}, best after pass {best:g}{tail}."


def training(stages: Sequence[StageRun]) -> Training:
    """The curves of the trainings among `stages`: a chart for each family, with a line for each arm's first training.

    A family has as many lines as there are arms that train, which a chart can hold (webapp.charts.MOST_LINES).
    """
    trainings = [stage for stage in stages if stage.stage == "train"]
    drawn = [stage for stage in trainings if not _kind_left_out(stage)]
    points = _points(drawn)
    families = [name for name in FAMILIES if any(_family(stage) == name for stage in drawn)]
    charts = [_charts(name, [stage for stage in drawn if _family(stage) == name], points) for name in families]
    return Training(
        charts=[one for one in charts if one.held_out or one.loss],
        left_out=_left_out(trainings),
        sentences=[(_label(stage), stage.metrics["sentence"]) for stage in trainings if "sentence" in stage.metrics],
        running=[f"{_label(stage)}: {stage.message}" for stage in trainings if stage.state == State.RUNNING],
        around=[
            (stage_title(stage), stage.metrics["sentence"])
            for stage in stages
            if stage.stage in _AROUND and "sentence" in stage.metrics
        ],
    )


def _charts(family: str, stages: Sequence[StageRun], points: Mapping[int, list[dict[str, Any]]]) -> FamilyCurves:
    name = family_name(family)

    def lines(measure: str) -> list[Series]:
        return [Series(_arms(stage), _column(points.get(stage.pk, ()), "step", measure)) for stage in stages]

    held_out = draw_lines(
        key=f"train-dev-{family}",
        title=f"How good the first ten results are on the held-out examples: {name.lower()}",
        description="Step 0 is the untrained base model. Higher is better; the best step of each training is kept.",
        x_name="step",
        y_name="First ten results (nDCG@10, 0 to 1), higher is better",
        series=lines(_MEASURE),
    )
    loss = draw_lines(
        key=f"train-loss-{family}",
        title=f"Loss of the trainings: {name.lower()}",
        description="What training makes smaller, step by step. It says that training works, not that search does.",
        x_name="step",
        y_name="Loss, lower is better",
        series=lines("loss"),
    )
    return FamilyCurves(name, held_out, loss)


def _left_out(trainings: Sequence[StageRun]) -> str:
    """Why there are fewer lines than trainings, in numbers by kind."""
    counts = Counter(kind for stage in trainings if (kind := _kind_left_out(stage)))
    if not counts:
        return ""
    parts = [f"{count} {plural(count, 'training')} {kind}" for kind, count in counts.items()]
    return f"Without a line: {', '.join(parts)}. Each says what it came to in words."


def _kind_left_out(stage: StageRun) -> str:
    """Why a training has no line: it is another one once more, or only teaches; empty for one that is compared."""
    if repeat_of(stage):
        return "with another seed"
    if is_first_round(stage) or is_teacher(stage):
        return "for a teacher alone"
    return f"at {variant_name(stage.variant)}" if stage.variant else ""


def _arms(stage: StageRun) -> str:
    """The arms of a training; what several of them learn from alike is trained once."""
    return " and ".join(map(arm_name, stage.arms))


def _family(stage: StageRun) -> str:
    return stage.family or BI_ENCODER


def _label(stage: StageRun) -> str:
    """Name of a training: its search model, the number of the repeat, and whether it only teaches."""
    return ", ".join([arm_name(stage.cell), *turn_of(stage)]) + (" (teacher)" if is_teacher(stage) else "")


def _points(stages: Sequence[StageRun]) -> dict[int, list[dict[str, Any]]]:
    """What the stages reported, by stage, in the order of the work."""
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    ids = [stage.pk for stage in stages]
    if not ids:
        return found
    rows = CurvePoint.objects.filter(stage_run_id__in=ids).order_by("stage_run_id", "step")
    for stage_id, values in rows.values_list("stage_run_id", "values")[:_MOST_POINTS]:
        found[stage_id].append(values)
    return found


def _column(rows: Iterable[Mapping[str, Any]], x: str, y: str) -> list[Point]:
    return [(row[x], row[y]) for row in rows if row.get(x) is not None and row.get(y) is not None]


def _short(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"
