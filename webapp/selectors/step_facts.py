"""What the stepper tells of: a step, and what is known of a project when its steps are named. Two queries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import IntegerField, OuterRef, QuerySet, Subquery

from webapp.models import Experiment, Project, Query, Role, Split, StageRun, State, Upload
from webapp.prepared import Prepared
from webapp.selectors.uploads import errand_states
from webapp.selectors.verdict_counts import VerdictCounts, columns, counts_of

MANY = 1000  # examples of a split are counted up to here: a bigger number costs time and says nothing more
_UNSPLIT = 10_000  # questions without a split that are looked at; most of a large import are no examples yet

WAITING, READY, RUNNING, DONE, ATTENTION, OUTDATED = (
    "waiting", "ready", "running", "done", "attention", "outdated",
)  # fmt: skip
NAMES = {
    "documents": "Documents", "examples": "Examples", "tune": "Tune", "generate": "Generate", "review": "Review",
    "train": "Train", "compare": "Compare", "download": "Download",
}  # fmt: skip


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
class Newest:
    """The experiment that a project stands at."""

    number: int
    labels_version: int
    corpus_id: int | None
    stages: Sequence[tuple[str, State]]
    """Name and state of each, in their order."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one project."""

    upload: str
    """Stage of the newest upload of documents."""
    errand: str
    """State of the latest work on it."""
    examples: Mapping[str, int]
    unsplit: int
    experiment: Newest | None
    outdated: bool
    verdicts: VerdictCounts
    may_edit: bool


def read(projects: Sequence[Project], roles: Mapping[int, Role]) -> dict[int, Facts]:
    """The facts by the primary keys of the projects. Two queries."""
    found = {row["pk"]: row for row in _PROJECTS.rows(*(project.pk for project in projects))} if projects else {}
    stages: dict[int, list[dict[str, Any]]] = defaultdict(list)
    latest = [row["latest"] for row in found.values() if row["latest"]]
    for row in _STAGES.rows(*latest) if latest else ():
        stages[row["experiment_id"]].append(row)
    return {
        project.pk: _facts(
            project, found[project.pk], stages[found[project.pk]["latest"]], may_edit(roles.get(project.pk))
        )
        for project in projects
    }


def may_edit(role: Role | None) -> bool:
    """Whether sentences are for somebody who can start things; without a role, for who may do everything."""
    return role is None or role.level >= Role.EDITOR.level


def is_outdated(experiment: Experiment | Newest, project: Project) -> bool:
    """Whether examples or documents have changed since an experiment was started."""
    return (experiment.labels_version, experiment.corpus_id) != (project.labels_version, project.corpus_id)


def _facts(project: Project, row: Mapping[str, Any], stages: Sequence[Mapping[str, Any]], can_edit: bool) -> Facts:
    experiment = _newest(stages) if stages else None
    return Facts(
        upload=row["upload_stage"] or "",
        errand=row["errand"] or "",
        examples={split: row[f"n_{split}"] for split in Split.values},
        unsplit=row["n_unsplit"],
        experiment=experiment,
        outdated=experiment is not None and is_outdated(experiment, project),
        verdicts=counts_of(stages[0]["experiment__decision_counts"], stages) if stages else VerdictCounts(),
        may_edit=can_edit,
    )


def _newest(stages: Sequence[Mapping[str, Any]]) -> Newest:
    first = stages[0]
    return Newest(
        number=first["experiment__number"],
        labels_version=first["experiment__labels_version"],
        corpus_id=first["experiment__corpus_id"],
        stages=[(row["stage"], State(row["state"])) for row in stages],
    )


class _CountUpTo(Subquery):
    """How many rows of a sliced query are examples, as a column. Sliced first, so that a million rows cost nothing."""

    template = (
        "(SELECT COUNT(*) FROM (%(subquery)s) looked_at "
        "WHERE looked_at.relevant >= 1 AND looked_at.status <> 'skipped')"
    )
    output_field = IntegerField()


def _counted(split: str, limit: int) -> _CountUpTo:
    rows = Query.objects.filter(project_id=OuterRef("pk"), split=split)
    return _CountUpTo(rows.order_by().values("relevant", "status")[:limit])


def _project_rows(*projects: int) -> QuerySet[Project, dict[str, Any]]:
    counted = {split: _counted(split, MANY) for split in Split.values}
    # The experiments of a learning curve are not what the project stands at.
    newest = Experiment.objects.filter(project=OuterRef("pk"), series="").order_by("-number")
    uploads = Upload.objects.filter(project=OuterRef("pk")).exclude(kind__in=[Upload.Kind.PAIRS, Upload.Kind.QRELS])
    return (
        Project.objects.filter(pk__in=projects)
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


def _stage_rows(*experiments: int) -> QuerySet[StageRun, dict[str, Any]]:
    rows = StageRun.objects.filter(experiment_id__in=experiments).annotate(**columns())
    return rows.order_by("experiment_id", "position").values(
        "experiment_id", "stage", "state", "experiment__number", "experiment__labels_version",
        "experiment__corpus_id", "experiment__decision_counts", *columns(),
    )  # fmt: skip


_PROJECTS = Prepared(_project_rows)
_STAGES = Prepared(_stage_rows)
