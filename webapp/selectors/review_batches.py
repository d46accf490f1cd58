"""Whose generated questions are reviewed: those of one arm of one experiment, a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import QuerySet

from webapp.models import Experiment, Project, StageRun, State, WeakQuery
from webapp.selectors.words import arm_name

_LATEST = 20  # experiments that can be chosen
_FIRST_ARM = "sptar"


@dataclass(frozen=True, slots=True)
class Batch:
    """The questions that the generate step of an arm has written; `folder` is their WeakQuery.batch."""

    experiment: Experiment
    arm: str
    folder: str
    is_written: bool
    is_filtered: bool
    """Whether BM25 has looked at them: ranks, risk and what is kept are known."""

    @property
    def project(self) -> Project:
        """The project of both."""
        return self.experiment.project

    @property
    def questions(self) -> QuerySet[WeakQuery]:
        """All rows of the batch, unordered."""
        return WeakQuery.objects.filter(project_id=self.experiment.project_id, batch=self.folder)

    @property
    def name(self) -> str:
        """The arm's name for people."""
        return arm_name(self.arm)


def find(project: Project, number: int, arm: str) -> Batch | None:
    """The batch of that experiment and arm; None when it has written nothing (yet). One query."""
    stages = _stages(project).filter(experiment__number=number)
    return next((batch for batch in _batches(project, list(stages)) if batch.arm == arm), None)


def newest(project: Project) -> Batch | None:
    """The batch to review unless somebody chooses: the newest experiment's, the tuned question writer's if it has."""
    # The points of a learning curve have other questions each; nobody means those.
    batches = [batch for batch in latest(project) if not batch.experiment.series]
    ofthe_newest = [batch for batch in batches if batch.experiment == batches[0].experiment]
    return next((batch for batch in ofthe_newest if batch.arm == _FIRST_ARM), ofthe_newest[0] if batches else None)


def latest(project: Project) -> list[Batch]:
    """Batches of the latest experiments, the newest first; one that several experiments share, once for each."""
    numbers = project.experiments.order_by("-number").values("number")[:_LATEST]
    newest_number = max((row["number"] for row in numbers), default=0)
    stages = _stages(project).filter(experiment__number__gt=newest_number - _LATEST)
    return _batches(project, list(stages))


def _stages(project: Project) -> QuerySet[StageRun]:
    rows = StageRun.objects.filter(experiment__project=project, stage__in=["generate", "filter"])
    columns = ("stage", "arms", "state", "folder", "experiment__number", "experiment__name", "experiment__corpus",
               "experiment__series")  # fmt: skip
    return rows.select_related("experiment").only(*columns, "experiment__project").order_by(
        "-experiment__number", "position"
    )  # fmt: skip


def _batches(project: Project, stages: Sequence[StageRun]) -> list[Batch]:
    filtered = {
        (row.experiment_id, arm)
        for row in stages
        for arm in row.arms
        if row.stage == "filter" and row.state == State.DONE
    }
    found = []
    for row in stages:
        row.experiment.project = project
        if row.stage == "generate" and row.folder:
            found += [
                Batch(row.experiment, arm, row.folder, row.state == State.DONE, (row.experiment_id, arm) in filtered)
                for arm in row.arms
            ]
    return found
