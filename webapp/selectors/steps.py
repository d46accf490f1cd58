"""The stepper: the eight steps of a project, where each stands, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.urls import reverse

from sptar_engine.data.splits import MIN_TRAIN
from webapp.models import Project, Role, State, Upload
from webapp.selectors.experiment_steps import of_experiment
from webapp.selectors.review_step import review
from webapp.selectors.step_facts import (
    ATTENTION,
    DONE,
    MANY,
    NAMES,
    OUTDATED,
    READY,
    RUNNING,
    WAITING,
    Facts,
    Step,
    may_edit,
    read,
)
from webapp.selectors.thresholds import ENOUGH_TRAIN, FEW_TRAIN, MIN_EXAMPLES
from webapp.selectors.uploads import WORKING
from webapp.selectors.words import plural

OPTIONAL = frozenset({"review"})
"""Steps that nothing waits for."""


@dataclass(frozen=True, slots=True)
class NextStep:
    """What a person does next in a project: one sentence and one button."""

    sentence: str
    label: str
    url: str


def steps_of(project: Project, role: Role | None = None) -> list[Step]:
    """The steps in their order, with links and sentences for that role; without one, for who may do everything.

    Two queries, three when the project's corpus was not loaded with it.
    """
    return steps_of_all([project], {} if role is None else {project.pk: role})[project.pk]


def steps_of_all(projects: Sequence[Project], roles: Mapping[int, Role] | None = None) -> dict[int, list[Step]]:
    """The steps of several projects by their primary keys, with the same two queries; `roles` by the same keys."""
    facts = read(projects, roles or {})
    return {project.pk: _steps(project, facts[project.pk]) for project in projects}


def next_step(project: Project, steps: Sequence[Step] | None = None, role: Role | None = None) -> NextStep:
    """The one thing to do next, or to look at. Hand over `steps` when they are at hand, and nothing is read twice."""
    found = steps if steps is not None else steps_of(project, role)
    for wanted in ((ATTENTION,), (RUNNING,), (READY, OUTDATED)):
        for step in found:
            if step.state in wanted and step.url and step.key not in OPTIONAL:
                return NextStep(step.why, _button(step) if may_edit(role) else "Have a look", step.url)
    last = next(step for step in reversed(found) if step.url)
    return NextStep("All steps are done: the trained search model is ready.", "See the results", last.url)


def _button(step: Step) -> str:
    if step.state == ATTENTION:
        return "See what is needed"
    if step.state == RUNNING:
        return "Watch it"
    if step.label == "Stopped":
        return "Go on"
    if step.url.endswith("/retrain/"):
        return "Train with the verdicts"
    return {"documents": "Upload documents", "examples": "Add examples"}.get(step.key, "New experiment")


def _steps(project: Project, facts: Facts) -> list[Step]:
    steps = [_documents(project, facts), _examples(project, facts)]
    # Not the first step's state: a second upload on its way takes nothing away from the documents that are there.
    is_ready = project.corpus is not None and steps[1].state == DONE
    for key in ("tune", "generate", "review", "train", "compare", "download"):
        steps.append(review(project, facts) if key == "review" else of_experiment(project, facts, key, is_ready))
    return steps


def _documents(project: Project, facts: Facts) -> Step:
    found = _upload(facts)
    if found is None and project.corpus is not None:
        count = project.corpus.documents
        found = (DONE, f"{count:,} {plural(count, 'document')}", f"Version {project.corpus.number} is in use.")
    if found is None:
        why = "Upload the documents that people search in; everything else builds on them."
        found = (READY, "Not started", why if facts.may_edit else "No documents yet: an editor uploads them.")
    return Step("documents", NAMES["documents"], *found, reverse("documents", args=[project.slug]))


def _upload(facts: Facts) -> tuple[str, str, str] | None:
    """State, label and sentence while the newest upload is on its way."""
    stage = Upload.Stage(facts.upload) if facts.upload else None
    if stage in WORKING and facts.errand in (State.FAILED, State.CANCELLED):
        label, what = ("Failed", "failed") if facts.errand == State.FAILED else ("Stopped", "was stopped")
        work = "check" if stage == Upload.Stage.CHECKING else "import"
        who = "try it again" if facts.may_edit else "an editor can try it again"
        return ATTENTION, label, f"The {work} of an upload {what}: {who}."
    if stage == Upload.Stage.MAPPING:
        who = "you to say" if facts.may_edit else "an editor to say"
        return ATTENTION, "Choose columns", f"An upload waits for {who} which column is what."
    if stage == Upload.Stage.QUESTION:
        who = "decide what to do" if facts.may_edit else "an editor decides what to do"
        return ATTENTION, "Your decision" if facts.may_edit else "Undecided", f"Some rows of an upload are bad: {who}."
    return (
        {
            Upload.Stage.RECEIVED: (RUNNING, "Importing", "An upload is being read."),
            Upload.Stage.CHECKING: (RUNNING, "Checking", "An upload is being checked."),
            Upload.Stage.IMPORTING: (RUNNING, "Importing", "Documents are being imported."),
        }.get(stage)
        if stage
        else None
    )


def _examples(project: Project, facts: Facts) -> Step:
    name, url = NAMES["examples"], reverse("examples", args=[project.slug])
    split = facts.examples
    total = sum(split.values()) + facts.unsplit
    label = f"{total:,}{'+' if max(split.values()) >= MANY else ''} {plural(total, 'example')}"
    if project.corpus_id is None and not total:
        return Step("examples", name, WAITING, "Waiting", "Examples need documents first.", "")
    missing = missing_examples(split, facts.unsplit)
    if missing:
        if not facts.may_edit:
            missing = f"There are too few examples for an experiment so far ({total}): editors add more."
        return Step("examples", name, READY, label if total else "Not started", missing, url)
    train = split["train"]
    if train < FEW_TRAIN:
        why = f"{train} examples for training are enough to start; results will vary a lot below {FEW_TRAIN}."
    elif train < ENOUGH_TRAIN:
        why = f"{train} examples for training; {ENOUGH_TRAIN} make results steadier."
    else:
        why = f"{train} examples for training: plenty."
    return Step("examples", name, DONE, label, why, url)


def missing_examples(split: Mapping[str, int], unsplit: int) -> str:
    """What is missing before an experiment can start, as a sentence; empty when nothing is."""
    total = sum(split.values()) + unsplit
    if total < MIN_EXAMPLES and not (split["train"] and split["dev"] and split["test"]):
        need = MIN_EXAMPLES - total
        return f"Write or import {need} more {plural(need, 'example')}: {MIN_EXAMPLES} are the least to start with."
    if unsplit and unsplit == total:
        return ""  # the app splits them when an experiment starts
    if split["train"] < MIN_TRAIN:
        need = MIN_TRAIN - split["train"]
        return f"{need} more training {plural(need, 'example')} needed: {MIN_TRAIN} are the least to learn from."
    if not split["dev"]:
        return "At least one held-out example is needed to choose the best version by."
    if not split["test"]:
        return "At least one test example is needed to measure the result on."
    return ""
