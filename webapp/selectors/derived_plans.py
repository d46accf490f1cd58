"""Before the start of an experiment that changes another one: what is done anew, what comes back, how long it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sptar_engine.configs import StageConfig, build_config
from sptar_engine.errors import ConfigError
from sptar_engine.steps import DECISIONS, Step
from webapp.models import Experiment, StageRun, State
from webapp.selectors.estimates import RANGE, Counts, Piece, Speeds, free_memory, read_speeds, seconds_of
from webapp.selectors.models import ModelChoice, choices
from webapp.selectors.queues import queue_view
from webapp.selectors.words import plural, size, stage_name, time_range

_MACHINE = frozenset({"dtype", "threads"})  # decided by the machine, and inherited from the experiment before


@dataclass(frozen=True, slots=True)
class DerivedPlan:
    """The card "before you start". `todo` names the stages done anew, each once, with how many of them."""

    steps: int
    reused: int
    todo: list[str]
    time: str
    rough: bool
    memory: str
    queue: str


def plan_of(experiment: Experiment, steps: Sequence[Step]) -> DerivedPlan:
    """Of one experiment that changes `experiment`. One query and those of the estimate."""
    return _sum([_Part.of(experiment, steps, experiment.counts)])


def plan_of_all(experiment: Experiment, plans: Sequence[tuple[Sequence[Step], Counts]]) -> DerivedPlan:
    """Of several experiments at once, each with the counts of its data."""
    return _sum([_Part.of(experiment, steps, counts) for steps, counts in plans])


@dataclass(frozen=True, slots=True)
class _Part:
    """One experiment of a plan, and which of its steps are done anew."""

    steps: Sequence[Step]
    counts: Counts
    anew: Sequence[Step]

    @classmethod
    def of(cls, experiment: Experiment, steps: Sequence[Step], counts: Counts) -> _Part:
        known = {row.step_id: row for row in experiment.stages.filter(state=State.DONE)}
        anew: dict[str, Step] = {}
        for step in steps:  # in an order that runs: what a step reads stands before it
            if not _comes_back(step, known) or any(source in anew for source in step.inputs.values()):
                anew[step.step_id] = step
        return cls(steps, counts, list(anew.values()))

    def seconds(self, speeds: Speeds, models: Mapping[str, ModelChoice]) -> tuple[float, bool]:
        """The estimate, and whether all of it was measured on this machine."""
        pieces = {step.step_id: Piece(step.stage, step.config.as_dict(), step.inputs) for step in self.steps}
        found = [seconds_of(pieces[step.step_id], pieces.values(), self.counts, speeds, models) for step in self.anew]
        return sum(seconds for seconds, _ in found), all(known for _, known in found)


def _sum(parts: Sequence[_Part]) -> DerivedPlan:
    speeds, models = read_speeds(), choices()
    found = [part.seconds(speeds, models) for part in parts]
    total = sum(seconds for seconds, _ in found)
    anew = [step.stage for part in parts for step in part.anew]
    return DerivedPlan(
        steps=sum(len(part.steps) for part in parts),
        reused=sum(len(part.steps) for part in parts) - len(anew),
        todo=[f"{stage_name(stage)}{_times(anew.count(stage))}" for stage in dict.fromkeys(anew)],
        time=time_range(*(total * factor for factor in RANGE)),
        rough=not all(known for _, known in found),
        memory=f"{size(free_memory())} free",
        queue=queue_view().missing("gpu"),
    )


def _times(count: int) -> str:
    return f", {count} {plural(count, 'time')}" if count > 1 else ""


def _comes_back(step: Step, known: Mapping[str, StageRun]) -> bool:
    """Whether the experiment before has done this very step. What it reads is looked at by the caller."""
    row = known.get(step.step_id)
    if row is None or row.inputs != dict(step.inputs) or DECISIONS in step.inputs.values():
        return False  # other verdicts: only the file could tell that they are the same
    try:
        stored = build_config(row.stage, row.config)  # options that are new since then are at their defaults
    except ConfigError:
        return False
    return _that_counts(stored) == _that_counts(step.config)


def _that_counts(config: StageConfig) -> dict[str, object]:
    left_out = _MACHINE | config.idle
    return {name: value for name, value in config.as_dict().items() if name not in left_out}
