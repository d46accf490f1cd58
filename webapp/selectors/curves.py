"""The curves of an experiment, from the points that its stages report, and sentences that read them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from webapp.charts import LineChart, Point, Series, draw_lines
from webapp.models import CurvePoint, StageRun, State
from webapp.selectors.thresholds import FEW_HELDOUT
from webapp.selectors.words import arm_name, is_teacher, plural, stage_title, turn_of

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
class Training:
    """The curves of all trainings of an experiment, and each one's own sentence."""

    held_out: LineChart | None
    loss: LineChart | None
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
    """The curves of the trainings among `stages`: one line for each search model, its first repeat."""
    trainings = [stage for stage in stages if stage.stage == "train"]
    points = _points(trainings)
    held_out: list[Series] = []
    loss: list[Series] = []
    for stage in trainings:
        if turn_of(stage):
            continue  # a repeat with another seed has its sentence below the chart
        name = _label(stage)
        held_out.append(Series(name, _column(points[stage.pk], "step", _MEASURE)))
        loss.append(Series(name, _column(points[stage.pk], "step", "loss")))
    return Training(
        held_out=draw_lines(
            key="train-dev",
            title="How good the first ten results are on the held-out examples",
            description="Step 0 is the untrained base model. Higher is better; the best step of each training is kept.",
            x_name="step",
            y_name="First ten results (nDCG@10, 0 to 1), higher is better",
            series=held_out,
        ),
        loss=draw_lines(
            key="train-loss",
            title="Loss of the trainings",
            description="What training makes smaller, step by step. It says that training works, not that search does.",
            x_name="step",
            y_name="Loss, lower is better",
            series=loss,
        ),
        sentences=[(_label(stage), stage.metrics["sentence"]) for stage in trainings if "sentence" in stage.metrics],
        running=[f"{_label(stage)}: {stage.message}" for stage in trainings if stage.state == State.RUNNING],
        around=[
            (stage_title(stage), stage.metrics["sentence"])
            for stage in stages
            if stage.stage in _AROUND and "sentence" in stage.metrics
        ],
    )


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
