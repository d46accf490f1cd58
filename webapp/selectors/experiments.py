"""Experiments for the pages: the list, and how one stands right now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from webapp.models import Errand, Experiment, Project, Rescoring, StageRun, State
from webapp.selectors import estimates
from webapp.selectors.comparisons import short
from webapp.selectors.failures import Failure, failure_of
from webapp.selectors.models import choices
from webapp.selectors.words import (
    duration,
    plural,
    preset_name,
    size,
    stage_title,
    time_range,
)

PAGE = 20
_LOG = 40  # lines
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of a project's experiments. `older` is where the next page starts."""

    rows: list[Line]
    older: int | None


@dataclass(frozen=True, slots=True)
class Line:
    """An experiment in the list."""

    experiment: Experiment
    label: str
    preset: str
    result: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an experiment stands, in words."""

    state: State
    label: str
    sentence: str
    done: int
    total: int
    failed: list[Failure]
    stopped: bool
    queued: StageRun | None
    is_open: bool


@dataclass(frozen=True, slots=True)
class LogLine:
    """Something that happened to a stage; without a time it is happening now."""

    at: datetime | None
    stage: str
    text: str
    bad: bool = False


def list_experiments(project: Project, *, before: int | None = None) -> Listing:
    """Newest first. Two queries."""
    rows = project.experiments.select_related("started_by").defer("settings", "machine", "note")
    if before is not None:
        rows = rows.filter(number__lt=before)
    counted = with_newest(rows).annotate(
        stages_all=Count("stages"), stages_done=Count("stages", filter=Q(stages__state=State.DONE))
    ).order_by("-number")  # fmt: skip
    found = list(counted[: PAGE + 1])
    lines = [
        Line(
            one, _LABELS[State(one.state)], preset_name(one.preset), short(one, one.newest), one.stages_done,
            one.stages_all,
        )
        for one in found[:PAGE]
    ]  # fmt: skip
    return Listing(lines, found[PAGE - 1].number if len(found) > PAGE else None)


def with_newest(rows: QuerySet[Experiment]) -> QuerySet[Experiment]:
    """Each with `newest`: the comparison by its newest judgements; None for one that was never measured again."""
    rescored = Rescoring.objects.filter(experiment=OuterRef("pk")).order_by("-number").values("comparison")[:1]
    return rows.annotate(newest=Subquery(rescored))


def stages_of(experiment: Experiment) -> list[StageRun]:
    """All stages in their order, each knowing this experiment."""
    stages = list(experiment.stages.order_by("position"))
    for stage in stages:
        stage.experiment = experiment
    return stages


def is_open(experiment: Experiment, stages: Sequence[StageRun]) -> bool:
    """Whether anything may still happen by itself."""
    return not State(experiment.state).is_over or any(stage.state in (State.QUEUED, State.RUNNING) for stage in stages)


def standing_of(experiment: Experiment, stages: Sequence[StageRun]) -> Standing:
    """State and one sentence; for a running experiment with the time that is left."""
    state = State(experiment.state)
    done = sum(stage.state == State.DONE for stage in stages)
    failed = [stage for stage in stages if stage.state == State.FAILED]
    running = [stage for stage in stages if stage.state == State.RUNNING]
    queued = [stage for stage in stages if stage.state == State.QUEUED]
    return Standing(
        state=state,
        label=_LABELS[state],
        sentence=_sentence(experiment, state, stages, running, failed),
        done=done,
        total=len(stages),
        failed=[failure_of(stage) for stage in failed],
        stopped=any(stage.state == State.CANCELLED for stage in stages),
        queued=None if running or not queued else queued[0],
        is_open=is_open(experiment, stages),
    )


def log_of(stages: Sequence[StageRun]) -> list[LogLine]:
    """What happened when, newest first: beginnings, ends, restarts and what each running stage says."""
    lines: list[LogLine] = []
    for stage in stages:
        name = stage_title(stage)
        if stage.started_at:
            lines.append(LogLine(stage.started_at, name, _began(stage)))
        if stage.state == State.RUNNING and stage.message and stage.started_at:
            lines.append(LogLine(None, name, f"{stage.message} ({stage.done:,} of {stage.total:,})"))
        if stage.finished_at:
            lines.append(LogLine(stage.finished_at, name, _ended(stage), bad=stage.state == State.FAILED))
    return sorted(lines, key=lambda line: (line.at is None, line.at or _NEVER), reverse=True)[:_LOG]


def result_words(stage: str, metrics: Mapping[str, Any]) -> str:
    """The number of a finished stage that matters most, in words."""
    words = _RESULTS.get(stage)
    try:
        return words(metrics) if words else ""
    except (KeyError, TypeError, ValueError):
        return ""  # a result of an older version may lack a number


def left_words(stage: StageRun | Errand) -> str:
    """The time that running work still takes at the pace it has had."""
    if stage.state != State.RUNNING or not stage.started_at or not 0 < stage.done < stage.total:
        return ""
    elapsed = (timezone.now() - stage.started_at).total_seconds()
    return f"about {duration(elapsed * (stage.total - stage.done) / stage.done)} left"


def _sentence(
    experiment: Experiment, state: State, stages: Sequence[StageRun], running: list[StageRun], failed: list[StageRun]
) -> str:
    done = sum(stage.state == State.DONE for stage in stages)
    count = f"{done} of {len(stages)} steps are done"
    if state == State.DONE:
        return f"All {len(stages)} steps are done{_took(experiment)}."
    if state == State.FAILED:
        return f"{len(failed)} {plural(len(failed), 'step')} failed; {count}, and what is done stays."
    if state == State.CANCELLED:
        return f"It was stopped; {count}. It can go on from there."
    left = _left(experiment, stages)
    if running:
        return f"{count}; now: {stage_title(running[0])}.{left}"
    return f"{count}; the next one waits in the queue.{left}"


def _took(experiment: Experiment) -> str:
    if not experiment.finished_at:
        return ""
    return f", {duration((experiment.finished_at - experiment.created).total_seconds())} after it was started"


def _left(experiment: Experiment, stages: Sequence[StageRun]) -> str:
    """The time for what is not done, with its range; a stage that runs counts with the part that it lacks."""
    todo = [stage for stage in stages if not State(stage.state).is_over]
    speeds, models = estimates.read_speeds(), choices()
    seconds = 0.0
    for stage in todo:
        share = 1 - stage.done / stage.total if stage.state == State.RUNNING and stage.total else 1.0
        seconds += share * estimates.seconds_of(stage, stages, experiment.counts, speeds, models)[0]
    low, high = (seconds * factor for factor in estimates.RANGE)
    return f" {time_range(low, high).capitalize()} left." if seconds else ""


def _began(stage: StageRun) -> str:
    return "began" if stage.attempt <= 1 else f"began again (attempt {stage.attempt})"


def _ended(stage: StageRun) -> str:
    if stage.state == State.DONE:
        found = str(stage.metrics.get("sentence") or result_words(stage.stage, stage.metrics))
        time = "taken from an earlier run" if stage.reused else f"done in {duration(stage.seconds or 0)}"
        return f"{time}. {found}" if found else time
    if stage.state == State.FAILED:
        return f"failed: {stage.error}"
    return _LABELS[State(stage.state)].lower()


def _train_words(metrics: Mapping[str, Any]) -> str:
    if metrics["kept_untrained"]:
        return "kept the untrained model"
    before, after = metrics["dev_nDCG@10_untrained"], metrics["dev_nDCG@10"]
    return f"first ten results {before:.3f} → {after:.3f} (held-out nDCG@10)"


def _teach_words(metrics: Mapping[str, Any]) -> str:
    """A teacher is examined against what it has to beat: keyword search, or the untrained model (teacher = hybrid)."""
    against = next((name for name in _EXAMINED if f"dev_nDCG@10_{name}" in metrics), "")
    if metrics["teaches"]:
        before, after = metrics[f"dev_nDCG@10_{against}"], metrics["dev_nDCG@10"]
        return f"orders documents {before:.3f} → {after:.3f} (held-out nDCG@10)"
    if not against:
        return "does not teach"
    return f"no better than {_EXAMINED[against]}, so it does not teach"


_EXAMINED = {"bm25": "keyword search", "base": "the untrained search model"}
_LABELS = {
    State.WAITING: "Waiting", State.QUEUED: "In the queue", State.RUNNING: "Running", State.DONE: "Done",
    State.FAILED: "Failed", State.CANCELLED: "Stopped",
}  # fmt: skip

_RESULTS = {
    "prepare": lambda m: (
        f"{m['documents']:,} documents; {m['train_queries']} / {m['dev_queries']} / {m['test_queries']} examples"
    ),
    "tune": lambda m: f"surprise {m['heldout_perplexity_before']:.1f} → {m['heldout_perplexity']:.1f}",
    "select": lambda m: f"best of {m['candidates']}: surprise {m['heldout_perplexity']:.1f}",
    "generate": lambda m: f"{m['queries']:,} questions for {m['documents']:,} documents",
    "filter": lambda m: f"{m['kept']:,} of {m['total']:,} kept ({m['kept_share']:.0%})",
    "mine": lambda m: f"{m['kept']:,} hard negatives for {m['queries']:,} questions",
    "teach": _teach_words,
    "train": _train_words,
    "fuse": lambda m: f"first ten results {m['dev_nDCG@10_dense']:.3f} → {m['dev_nDCG@10']:.3f} (held-out nDCG@10)",
    "evaluate": lambda m: f"first ten results {m['nDCG@10']:.3f} (nDCG@10)",
    "package": lambda m: f"{size(m['bytes'])}, checked",
}
