"""The stepper: the eight steps of a project, where each stands, and why."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import IntegerField, OuterRef, QuerySet, Subquery
from django.urls import reverse

from sptar_engine.data.splits import MIN_TRAIN
from webapp.models import Experiment, Project, Query, Role, Split, StageRun, State, Upload
from webapp.selectors.review_queues import SAMPLE_SIZE
from webapp.selectors.thresholds import ENOUGH_TRAIN, FEW_TRAIN, MIN_EXAMPLES
from webapp.selectors.uploads import WORKING, errand_states
from webapp.selectors.verdict_counts import BOUND, VerdictCounts, columns, counts_of

_MANY = 1000  # examples of a split are counted up to here: a bigger number costs time and says nothing more
_UNSPLIT = 10_000  # questions without a split that are looked at; most of a large import are no examples yet

_WAITING, _READY, _RUNNING, _DONE, _ATTENTION, _OUTDATED = (
    "waiting", "ready", "running", "done", "attention", "outdated",
)  # fmt: skip
_STAGES = {
    "tune": ("tune", "select"),
    "generate": ("generate", "filter"),
    "train": ("mine", "teach", "train", "fuse"),
    "compare": ("evaluate",),
    "download": ("package",),
}
_NAMES = {
    "documents": "Documents", "examples": "Examples", "tune": "Tune", "generate": "Generate", "review": "Review",
    "train": "Train", "compare": "Compare", "download": "Download",
}  # fmt: skip
_WHAT = {
    "tune": "the question writer learns your style from the examples",
    "generate": "the question writer asks questions about documents without examples",
    "train": "the search model learns from the examples and the generated questions",
    "compare": "every search is measured on your test examples",
    "download": "the trained search model is packed and checked",
}
_AFTER_REVIEW = ("train", "compare", "download")  # what verdicts change
OPTIONAL = frozenset({"review"})
"""Steps that nothing waits for."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `state` is waiting, ready, running, done, attention or outdated; `label` says it in words."""

    key: str
    name: str
    state: str
    label: str
    why: str
    url: str


@dataclass(frozen=True, slots=True)
class NextStep:
    """What a person does next in a project: one sentence and one button."""

    sentence: str
    label: str
    url: str


@dataclass(frozen=True, slots=True)
class _Facts:
    upload: str
    """Stage of the newest upload of documents."""
    errand: str
    """State of the latest work on it."""
    examples: Mapping[str, int]
    unsplit: int
    experiment: Experiment | None
    stages: Sequence[StageRun]
    outdated: bool
    verdicts: VerdictCounts
    may_edit: bool

    def of(self, step: str) -> list[StageRun]:
        return [row for row in self.stages if row.stage in _STAGES[step]]


class _CountUpTo(Subquery):
    """How many rows of a sliced query are examples, as a column. Sliced first, so that a million rows cost nothing."""

    template = (
        "(SELECT COUNT(*) FROM (%(subquery)s) looked_at "
        "WHERE looked_at.relevant >= 1 AND looked_at.status <> 'skipped')"
    )
    output_field = IntegerField()


def steps_of(project: Project, role: Role | None = None) -> list[Step]:
    """The steps in their order, with links and sentences for that role; without one, for who may do everything.

    Two queries, three when the project's corpus was not loaded with it.
    """
    return steps_of_all([project], {} if role is None else {project.pk: role})[project.pk]


def steps_of_all(projects: Sequence[Project], roles: Mapping[int, Role] | None = None) -> dict[int, list[Step]]:
    """The steps of several projects by their primary keys, with the same two queries; `roles` by the same keys."""
    facts = _read(projects, roles or {})
    return {project.pk: _steps(project, facts[project.pk]) for project in projects}


def next_step(project: Project, steps: Sequence[Step] | None = None, role: Role | None = None) -> NextStep:
    """The one thing to do next, or to look at. Hand over `steps` when they are at hand, and nothing is read twice."""
    found = steps if steps is not None else steps_of(project, role)
    for wanted in ((_ATTENTION,), (_RUNNING,), (_READY, _OUTDATED)):
        for step in found:
            if step.state in wanted and step.url and step.key not in OPTIONAL:
                return NextStep(step.why, _button(step) if _may_edit(role) else "Have a look", step.url)
    last = next(step for step in reversed(found) if step.url)
    return NextStep("All steps are done: the trained search model is ready.", "See the results", last.url)


def _may_edit(role: Role | None) -> bool:
    return role is None or role.level >= Role.EDITOR.level


def _button(step: Step) -> str:
    if step.state == _ATTENTION:
        return "See what is needed"
    if step.state == _RUNNING:
        return "Watch it"
    if step.label == "Stopped":
        return "Go on"
    if step.url.endswith("/retrain/"):
        return "Train with the verdicts"
    return {"documents": "Upload documents", "examples": "Add examples"}.get(step.key, "New experiment")


def _steps(project: Project, facts: _Facts) -> list[Step]:
    steps = [_documents(project, facts), _examples(project, facts)]
    # Not the first step's state: a second upload on its way takes nothing away from the documents that are there.
    is_ready = project.corpus is not None and steps[1].state == _DONE
    for key in ("tune", "generate", "review", "train", "compare", "download"):
        steps.append(_review(project, facts) if key == "review" else _of_experiment(project, facts, key, is_ready))
    return steps


def _read(projects: Sequence[Project], roles: Mapping[int, Role]) -> dict[int, _Facts]:
    counted = {split: _counted(split, _MANY) for split in Split.values}
    # The experiments of a learning curve are not what the project stands at.
    newest = Experiment.objects.filter(project=OuterRef("pk"), series="").order_by("-number")
    uploads = Upload.objects.filter(project=OuterRef("pk")).exclude(kind__in=[Upload.Kind.PAIRS, Upload.Kind.QRELS])
    rows = (
        Project.objects.filter(pk__in=[project.pk for project in projects])
        .annotate(
            **{f"n_{split}": column for split, column in counted.items()},
            n_unsplit=_counted("", _UNSPLIT),
            upload_stage=Subquery(uploads.order_by("-id").values("stage")[:1]),
            upload=Subquery(uploads.order_by("-id").values("pk")[:1]),
            errand=errand_states(project=OuterRef("pk"), upload=OuterRef("upload")),
            latest=Subquery(newest.values("pk")[:1]),
        )
        .values("pk", "upload_stage", "errand", "latest", "n_unsplit", *(f"n_{split}" for split in counted))
    )
    found = {row["pk"]: row for row in rows}
    stages = _stages([row["latest"] for row in found.values() if row["latest"]])
    return {
        project.pk: _facts(
            project, found[project.pk], stages.get(found[project.pk]["latest"], []), _may_edit(roles.get(project.pk))
        )
        for project in projects
    }


def _facts(project: Project, row: Mapping[str, Any], stages: Sequence[StageRun], may_edit: bool) -> _Facts:
    experiment = stages[0].experiment if stages else None
    return _Facts(
        upload=row["upload_stage"] or "",
        errand=row["errand"] or "",
        examples={split: row[f"n_{split}"] for split in Split.values},
        unsplit=row["n_unsplit"],
        experiment=experiment,
        stages=stages,
        outdated=experiment is not None and is_outdated(experiment, project),
        verdicts=counts_of(experiment, stages) if experiment else VerdictCounts(),
        may_edit=may_edit,
    )


def is_outdated(experiment: Experiment, project: Project) -> bool:
    """Whether examples or documents have changed since an experiment was started."""
    return (experiment.labels_version, experiment.corpus_id) != (project.labels_version, project.corpus_id)


def _counted(split: str, limit: int) -> _CountUpTo:
    rows = Query.objects.filter(project_id=OuterRef("pk"), split=split)
    return _CountUpTo(rows.order_by().values("relevant", "status")[:limit])


def _stages(experiments: Collection[int]) -> dict[int, list[StageRun]]:
    if not experiments:
        return {}
    rows: QuerySet[StageRun] = StageRun.objects.filter(experiment_id__in=experiments).select_related("experiment")
    read = ("labels_version", "corpus_id", "number", "state", "name", "decision_counts")
    rows = rows.only("stage", "state", *(f"experiment__{column}" for column in read)).annotate(**columns())
    found: dict[int, list[StageRun]] = {}
    for row in rows.order_by("experiment_id", "position"):
        found.setdefault(row.experiment_id, []).append(row)
    return found


def _documents(project: Project, facts: _Facts) -> Step:
    found = _upload(facts)
    if found is None and project.corpus is not None:
        count = project.corpus.documents
        found = (_DONE, f"{count:,} {_plural(count, 'document')}", f"Version {project.corpus.number} is in use.")
    if found is None:
        why = "Upload the documents that people search in; everything else builds on them."
        found = (_READY, "Not started", why if facts.may_edit else "No documents yet: an editor uploads them.")
    return Step("documents", _NAMES["documents"], *found, reverse("documents", args=[project.slug]))


def _upload(facts: _Facts) -> tuple[str, str, str] | None:
    """State, label and sentence while the newest upload is on its way."""
    stage = Upload.Stage(facts.upload) if facts.upload else None
    if stage in WORKING and facts.errand in (State.FAILED, State.CANCELLED):
        label, what = ("Failed", "failed") if facts.errand == State.FAILED else ("Stopped", "was stopped")
        work = "check" if stage == Upload.Stage.CHECKING else "import"
        who = "try it again" if facts.may_edit else "an editor can try it again"
        return _ATTENTION, label, f"The {work} of an upload {what}: {who}."
    if stage == Upload.Stage.MAPPING:
        who = "you to say" if facts.may_edit else "an editor to say"
        return _ATTENTION, "Choose columns", f"An upload waits for {who} which column is what."
    if stage == Upload.Stage.QUESTION:
        who = "decide what to do" if facts.may_edit else "an editor decides what to do"
        return _ATTENTION, "Your decision" if facts.may_edit else "Undecided", f"Some rows of an upload are bad: {who}."
    return (
        {
            Upload.Stage.RECEIVED: (_RUNNING, "Importing", "An upload is being read."),
            Upload.Stage.CHECKING: (_RUNNING, "Checking", "An upload is being checked."),
            Upload.Stage.IMPORTING: (_RUNNING, "Importing", "Documents are being imported."),
        }.get(stage)
        if stage
        else None
    )


def _examples(project: Project, facts: _Facts) -> Step:
    name, url = _NAMES["examples"], reverse("examples", args=[project.slug])
    split = facts.examples
    total = sum(split.values()) + facts.unsplit
    label = f"{total:,}{'+' if max(split.values()) >= _MANY else ''} {_plural(total, 'example')}"
    if project.corpus_id is None and not total:
        return Step("examples", name, _WAITING, "Waiting", "Examples need documents first.", "")
    missing = missing_examples(split, facts.unsplit)
    if missing:
        if not facts.may_edit:
            missing = f"There are too few examples for an experiment so far ({total}): editors add more."
        return Step("examples", name, _READY, label if total else "Not started", missing, url)
    train = split["train"]
    if train < FEW_TRAIN:
        why = f"{train} examples for training are enough to start; results will vary a lot below {FEW_TRAIN}."
    elif train < ENOUGH_TRAIN:
        why = f"{train} examples for training; {ENOUGH_TRAIN} make results steadier."
    else:
        why = f"{train} examples for training: plenty."
    return Step("examples", name, _DONE, label, why, url)


def missing_examples(split: Mapping[str, int], unsplit: int) -> str:
    """What is missing before an experiment can start, as a sentence; empty when nothing is."""
    total = sum(split.values()) + unsplit
    if total < MIN_EXAMPLES and not (split["train"] and split["dev"] and split["test"]):
        need = MIN_EXAMPLES - total
        return f"Write or import {need} more {_plural(need, 'example')}: {MIN_EXAMPLES} are the least to start with."
    if unsplit and unsplit == total:
        return ""  # the app splits them when an experiment starts
    if split["train"] < MIN_TRAIN:
        need = MIN_TRAIN - split["train"]
        return f"{need} more training {_plural(need, 'example')} needed: {MIN_TRAIN} are the least to learn from."
    if not split["dev"]:
        return "At least one held-out example is needed to choose the best version by."
    if not split["test"]:
        return "At least one test example is needed to measure the result on."
    return ""


def _of_experiment(project: Project, facts: _Facts, key: str, is_ready: bool) -> Step:
    name, experiment = _NAMES[key], facts.experiment
    if experiment is None:
        if key == "tune" and is_ready:
            who = "start an experiment" if facts.may_edit else "an editor can start an experiment"
            why = f"Documents and examples are there: {who}, and it does the rest."
            return Step(key, name, _READY, "Ready to start", why, _new_experiment(project, facts))
        return Step(key, name, _WAITING, "Not started", f"In an experiment, {_WHAT[key]}.", "")
    url = _address(project, experiment, key)
    rows = facts.of(key)
    if not rows:
        return Step(key, name, _WAITING, "Not part of it", f"Experiment {experiment.number} has no such step.", url)
    state, label, why = _progress(rows, experiment, key, facts.may_edit)
    if state == _DONE and facts.outdated:
        who = "start a new one" if facts.may_edit else "an editor can start a new one"
        why = f"Examples or documents have changed since experiment {experiment.number}: {who}."
        new = _new_experiment(project, facts)
        return Step(key, name, _OUTDATED, "Out of date", why, new if key == "tune" else url)
    if state == _DONE and key in _AFTER_REVIEW and facts.verdicts.is_sampled and not facts.verdicts.are_used:
        again = reverse("retrain", args=[project.slug, experiment.number])
        can_start = key == "train" and facts.may_edit
        return Step(key, name, _OUTDATED, "Out of date", _unused_verdicts(facts), again if can_start else url)
    return Step(key, name, state, label, why, url)


def _address(project: Project, experiment: Experiment, key: str) -> str:
    """Where a step of an experiment is looked at. The file to download is the project's newest, whoever made it."""
    if key == "compare":
        return str(reverse("experiment_compare", args=[project.slug, experiment.number]))
    if key == "download":
        return str(reverse("download", args=[project.slug]))
    return f"{reverse('experiment', args=[project.slug, experiment.number])}#{key}"


def _unused_verdicts(facts: _Facts) -> str:
    assert facts.experiment is not None
    who = "train again with them" if facts.may_edit else "an editor can train again with them"
    return f"Verdicts on generated questions were given or changed since experiment {facts.experiment.number}: {who}."


def _new_experiment(project: Project, facts: _Facts) -> str:
    """Where a new experiment is started; for who may not, where all experiments are listed."""
    return str(reverse("experiment_new" if facts.may_edit else "experiments", args=[project.slug]))


def _progress(rows: Sequence[StageRun], experiment: Experiment, key: str, may_edit: bool) -> tuple[str, str, str]:
    states = {State(row.state) for row in rows}
    number = experiment.number
    if State.FAILED in states:
        return _ATTENTION, "Failed", f"This step of experiment {number} failed: its page says why and what to do."
    if State.RUNNING in states:
        return _RUNNING, "Running", f"In experiment {number} {_WHAT[key]}."
    if State.CANCELLED in states:
        who = "it can" if may_edit else "an editor can let it"
        return _READY, "Stopped", f"Experiment {number} was stopped; {who} go on from where it was."
    if states == {State.DONE}:
        return _DONE, "Done", f"Done in experiment {number}."
    if State.QUEUED in states:
        return _RUNNING, "In the queue", f"This step of experiment {number} waits for a free worker."
    if State.DONE in states:
        return _RUNNING, "Partly done", f"{sum(row.state == State.DONE for row in rows)} of {len(rows)} parts are done."
    return _WAITING, "Waiting", f"Experiment {number} comes to this after its earlier steps."


def _review(project: Project, facts: _Facts) -> Step:
    """Reading what was written and saying what is good; nothing waits for it."""
    step = _of_experiment(project, facts, "generate", is_ready=False)
    if step.state not in (_DONE, _OUTDATED):
        why = "There are no finished generated questions yet."
        return replace(step, key="review", name=_NAMES["review"], state=_WAITING, label="Waiting", why=why, url="")
    state, label, why = _reviewed(facts)
    if step.state == _OUTDATED:
        state, label, why = _OUTDATED, step.label, step.why
    return Step("review", _NAMES["review"], state, label, why, reverse("review", args=[project.slug]))


def _reviewed(facts: _Facts) -> tuple[str, str, str]:
    found = facts.verdicts
    if not found.given:
        size = SAMPLE_SIZE
        return _READY, "Not started", f"Read {size} generated questions, drawn at random, and see how many are good."
    label = f"{found.given:,}{'+' if found.given >= BOUND else ''} {_plural(found.given, 'verdict')}"
    if not found.is_sampled:
        need, size = found.sample - found.looked_at, found.sample
        return _READY, label, f"{need} of {size} random questions are left; they tell how good all of them are."
    if not found.are_used:
        who = "the search model can be trained with them" if facts.may_edit else "an editor can train with them"
        return _READY, label, f"These verdicts are in no training yet: {who}."
    if found.used:
        return _DONE, label, "The search model is trained with these verdicts."
    return _DONE, label, "The random sample is reviewed, and no verdict changes the training."


def _plural(count: int, noun: str) -> str:
    return noun if count == 1 else f"{noun}s"
