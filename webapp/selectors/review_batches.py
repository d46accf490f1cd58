"""Whose generated questions are reviewed: those of one arm of one experiment, a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import F, QuerySet
from django.http import Http404

from webapp.models import Experiment, Project, StageRun, State, WeakQuery
from webapp.prepared import Prepared, instance
from webapp.selectors.questions import threshold_in
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
    """Whether a filter has looked at them: ranks, risk and what is kept are known."""
    top_k: int | None
    """The threshold of this experiment's own filter; 0 while it has not run, None where keyword search decides nothing.
    """

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


def batch_or_404(project: Project, number: int, arm: str) -> Batch:
    """The questions that an address names. Raises Http404 when there are none."""
    batch = find(project, number, arm) if number < 2**31 else None
    if batch is None:
        raise Http404("There are no generated questions of that experiment.")
    return batch


def newest(project: Project) -> Batch | None:
    """The batch to review unless somebody chooses: the newest experiment's, the tuned question writer's if it has."""
    batches = latest(project)
    ofthe_newest = [batch for batch in batches if batch.experiment == batches[0].experiment]
    return next((batch for batch in ofthe_newest if batch.arm == _FIRST_ARM), ofthe_newest[0] if batches else None)


def latest(project: Project) -> list[Batch]:
    """Batches of the latest experiments, the newest first; one that several experiments share, once for each.

    Learning curves are left out: each of their points has other questions, and nobody means those.
    """
    written = project.experiments.filter(series="", stages__stage="generate", stages__folder__gt="").distinct()
    numbers = list(written.order_by("-number").values_list("number", flat=True)[:_LATEST])
    return _batches(project, list(_stages(project).filter(experiment__number__in=numbers)))


def last_filter(project: Project, batch: str) -> StageRun | None:
    """The filter whose threshold `WeakQuery.dropped` tells: that of the newest experiment which has filtered a batch.

    The points of a learning curve come after all others. One query.
    """
    return max(filters_of(project, batch), key=precedence, default=None)


def filters_of(project: Project, batch: str) -> list[StageRun]:
    """The finished filters that have seen a batch: of all experiments and arms that share it. One query."""
    found = []
    for row in _FILTERS.rows(project.pk, batch):
        if set(row["arms"]) & set(row["written"]):
            stage = instance(StageRun, row)
            stage.experiment = instance(Experiment, row, "experiment__")
            found.append(stage)
    return found


def precedence(filtered: StageRun) -> tuple[bool, int, int]:
    """The larger one of several filters says what is kept of the questions that they share.

    Of one experiment it is the filter of the first arm, which a plan names first, whichever was done first.
    """
    return not filtered.experiment.series, filtered.experiment.number, -filtered.position


def _stages(project: Project) -> QuerySet[StageRun]:
    rows = StageRun.objects.filter(experiment__project=project, stage__in=["generate", "filter"])
    columns = ("stage", "arms", "state", "folder", "config", "experiment__number", "experiment__name",
               "experiment__corpus", "experiment__series")  # fmt: skip
    return rows.select_related("experiment").only(*columns, "experiment__project").order_by(
        "-experiment__number", "position"
    )  # fmt: skip


def _batches(project: Project, stages: Sequence[StageRun]) -> list[Batch]:
    filtered = {
        (row.experiment_id, arm): threshold_in(row.config)
        for row in stages
        for arm in row.arms
        if row.stage == "filter" and row.state == State.DONE
    }
    found = []
    for row in stages:
        row.experiment.project = project
        if row.stage == "generate" and row.folder:
            found += [
                Batch(
                    row.experiment, arm, row.folder, row.state == State.DONE,
                    is_filtered=(row.experiment_id, arm) in filtered, top_k=filtered.get((row.experiment_id, arm), 0),
                )
                for arm in row.arms
            ]  # fmt: skip
    return found


def _filter_rows(project: int, folder: str) -> QuerySet[StageRun, dict[str, Any]]:
    """Filters of the experiments that have the batch, each with the arms that have written it."""
    rows = StageRun.objects.filter(
        stage="filter", state=State.DONE, experiment__project=project, experiment__stages__stage="generate",
        experiment__stages__folder=folder,
    )  # fmt: skip
    return rows.annotate(written=F("experiment__stages__arms")).values(
        "id", "experiment_id", "position", "arms", "config", "folder", "written", "experiment__id",
        "experiment__number", "experiment__name", "experiment__series",
    )  # fmt: skip


_FILTERS = Prepared(_filter_rows)
