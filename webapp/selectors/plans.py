"""Before the start: what an experiment would take and give, for the choices made so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sptar_engine.arms import CROSS_ENCODER
from sptar_engine.steps import Step
from webapp.forms.experiments import ExperimentForm
from webapp.models import Project
from webapp.selectors.estimates import Estimate, estimate
from webapp.selectors.fits import misfit, warnings_of
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
        remarks=[*readiness.remarks, *_room(found), *_fit(form, readiness), *_about_families(form, readiness.counts)],
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


def _fit(form: ExperimentForm, readiness: Readiness) -> list[Remark]:
    """What does not fit the data; while there is too little data at all, that is said elsewhere."""
    if any(remark.level == "bad" for remark in readiness.remarks):
        return []
    if problem := misfit(form.steps, readiness.counts):
        return [Remark("bad", problem)]
    return [Remark("warn", warning) for warning in warnings_of(form.steps, readiness.counts)]


def _about_families(form: ExperimentForm, counts: Mapping[str, int]) -> list[Remark]:
    """What somebody should know who has chosen these kinds of search models."""
    remarks, families = [], form.cleaned_data["families"]
    if not any(step.stage == "train" for step in form.steps):
        return []
    if "sparse" in families:
        text = "Learned sparse trains a sparse autoencoder, unless the base model can fill in missing words (SPLADE)."
        remarks.append(Remark("note", f"{text} The bundled one cannot."))
    limit = next((step.config.as_dict()["exact_limit"] for step in form.steps if step.family == "late_interaction"
                  and step.stage == "evaluate"), None)  # fmt: skip
    if limit is not None and counts["documents"] > int(limit):
        text = f"With more than {limit:,} documents late interaction puts the first results of another search in order"
        remarks.append(Remark("note", f"{text} instead of searching all of them."))
    if CROSS_ENCODER not in families and any(step.family == CROSS_ENCODER for step in form.steps):
        text = "A cross-encoder is trained for each way of training, to teach the others; it is not compared."
        remarks.append(Remark("note", text))
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
    if any(step.stage == "fuse" and "train" in step.inputs for step in steps):
        gets.append("the bi-encoders put together with keyword search, as suits your held-out examples best")
    gets.append("a comparison on your test examples, with intervals and a verdict")
    packages = sum(step.stage == "package" for step in steps)
    if packages:
        gets.append(
            f"the trained search {plural(packages, 'model')} as {'a file' if packages == 1 else 'files'} to download"
        )
    return gets
