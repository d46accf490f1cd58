"""Before the start: what an experiment would take and give, for the choices made so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sptar_engine.steps import Step
from webapp.forms.experiments import ExperimentForm
from webapp.models import Project
from webapp.selectors.estimates import Estimate, estimate
from webapp.selectors.models import choices
from webapp.selectors.queues import queue_view
from webapp.selectors.readiness import Readiness, Remark, readiness_of
from webapp.selectors.words import duration, plural, size, stage_name, time_range


@dataclass(frozen=True, slots=True)
class Preview:
    """The card "before you start". `estimate` is None while the choices are not valid."""

    readiness: Readiness
    remarks: list[Remark]
    estimate: Estimate | None = None
    time: str = ""
    disk: str = ""
    memory: str = ""
    by_stage: list[tuple[str, str]] = field(default_factory=list)
    gets: list[str] = field(default_factory=list)
    steps: int = 0
    queue: str = ""

    @property
    def is_blocked(self) -> bool:
        """Whether the button cannot work."""
        return any(remark.level == "bad" for remark in self.remarks)


def preview(project: Project, form: ExperimentForm) -> Preview:
    """Count, estimate and warn. Two queries."""
    readiness = readiness_of(project)
    if not form.is_valid():
        return Preview(readiness, readiness.remarks)
    found = estimate(form.steps, readiness.counts, readiness.corpus_bytes, choices())
    return Preview(
        readiness=readiness,
        remarks=[*readiness.remarks, *_room(found)],
        estimate=found,
        time=time_range(found.low, found.high),
        disk=f"about {size(found.disk.needed)}; {size(found.disk.free)} free",
        memory=f"about {size(found.memory.needed)}; {size(found.memory.free)} free",
        by_stage=[(stage_name(stage), duration(seconds)) for stage, seconds in found.by_stage.items()],
        gets=_gets(form.steps),
        steps=len(form.steps),
        queue=queue_view().missing("gpu"),
    )


def _room(found: Estimate) -> list[Remark]:
    remarks = []
    if not found.disk.is_enough:
        text = f"The disk has {size(found.disk.free)} free and about {size(found.disk.needed)} are needed."
        remarks.append(Remark("bad", f"{text} Free some space first."))
    if not found.memory.is_enough:
        text = f"{size(found.memory.free)} of memory are free here and about {size(found.memory.needed)} are needed."
        remarks.append(Remark("warn", f"{text} Close other programs or choose a smaller model."))
    return remarks


def _gets(steps: Sequence[Step]) -> list[str]:
    """What there is at the end."""
    gets = []
    if any(step.stage == "tune" for step in steps):
        gets.append("a question writer tuned to your style, with the curve of its learning")
    writes = sum(step.stage == "generate" for step in steps)
    if writes:
        gets.append(f"generated questions by {writes} {plural(writes, 'way')} of asking, filtered and ready to read")
    trainings = sum(step.stage == "train" for step in steps)
    if trainings:
        gets.append(f"{trainings} trained search {plural(trainings, 'model')}")
    gets.append("a comparison on your test examples, with intervals and a verdict")
    if any(step.stage == "package" for step in steps):
        gets.append("the trained search model as a file to download")
    return gets
