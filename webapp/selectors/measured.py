"""The figures of an experiment: those of its start (number 0), and those by judgements of a later day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import fsum
from pathlib import Path
from typing import Any

from sptar_engine.artifacts import read_json
from sptar_engine.data.beir import read_qrels, read_queries
from sptar_engine.errors import SptarError
from sptar_engine.evaluation.run_lines import METRICS_FILE, RUN_FILE
from sptar_engine.records import Qrels
from webapp import places
from webapp.cells import in_order
from webapp.models import Experiment, Rescoring, StageRun, State
from webapp.selectors.artifacts import stage_folder

Scores = Mapping[str, Mapping[str, Mapping[str, float]]]
"""`[cell][measure][query_id]`, averaged over the repeats of a training."""


@dataclass(frozen=True, slots=True)
class Version:
    """Judgements by which an experiment was measured, and what came out. Number 0 is that of its start."""

    number: int
    at: datetime
    who: str
    judged: int
    added: int
    labels_version: int
    comparison: Mapping[str, Any]
    qrels: str
    is_newest: bool

    @property
    def arms(self) -> Mapping[str, Any]:
        """What is known of each cell (webapp.cells)."""
        found: Mapping[str, Any] = self.comparison.get("arms", {})
        return found


def versions_of(experiment: Experiment) -> list[Version]:
    """All versions, the newest first."""
    rows = list(Rescoring.objects.filter(experiment=experiment).select_related("asked_by").order_by("-number"))
    later = [_later(row, is_newest=row is rows[0]) for row in rows]
    return [*later, _first(experiment, is_newest=not rows)]


def newest(experiment: Experiment) -> Version:
    """The version that the headline speaks of."""
    row = Rescoring.objects.filter(experiment=experiment).select_related("asked_by").order_by("-number").first()
    return _later(row, is_newest=True) if row else _first(experiment, is_newest=True)


def scores_file(experiment: Experiment, qrels: str) -> Path:
    """Where the values per question by later judgements lie."""
    return places.experiment_folder(experiment) / f"scores-{qrels}.json"


def scores_of(experiment: Experiment, version: Version) -> Scores:
    """Values per question. What is not on disk any more is simply not there."""
    try:
        if version.number:
            stored: Scores = read_json(scores_file(experiment, version.qrels))
            return stored
        return {
            arm: _average([read_json(folder / METRICS_FILE)["per_query"] for folder in folders])
            for arm, folders in evaluations(experiment).items()
        }
    except (SptarError, KeyError):
        return {}


def evaluations(experiment: Experiment) -> dict[str, list[Path]]:
    """Folders of the finished evaluations by cell, baselines first, one for each repeat of a training."""
    found: dict[str, list[Path]] = {}
    stages = experiment.stages.filter(stage="evaluate", state=State.DONE).order_by("position")
    for stage in stages.only("arms", "family", "variant", "folder", "state", "stage"):
        if folder := stage_folder(experiment.project, stage):
            found.setdefault(stage.cell, []).append(folder)
    return {name: found[name] for name in in_order(found)}


def runs_of(experiment: Experiment) -> dict[str, list[Path]]:
    """Run files of the finished evaluations by cell."""
    return {arm: [folder / RUN_FILE for folder in folders] for arm, folders in evaluations(experiment).items()}


def min_grade_of(experiment: Experiment) -> int:
    """From this grade on a document counted as relevant."""
    stage = experiment.stages.filter(stage="evaluate").only("config").first()
    return int(stage.config.get("min_grade", 1)) if stage else 1


def questions_of(experiment: Experiment) -> dict[str, str]:
    """The test questions with their text as they were searched."""
    folder = _data_folder(experiment)
    try:
        texts = read_queries(folder)
        return {query_id: texts[query_id].text for query_id in read_qrels(folder, "test").grades if query_id in texts}
    except (SptarError, OSError):
        return {}


def qrels_of(experiment: Experiment, version: Version) -> Qrels:
    """The judgements of a version. Raises SptarError when they are not on disk any more."""
    if version.number:
        return read_qrels(places.qrels_folder(experiment.project, version.qrels), "test")
    return read_qrels(_data_folder(experiment), "test")


def has_grade_0(experiment: Experiment, version: Version) -> bool:
    """Whether documents were judged not relevant on purpose: only then Judged@10 says something."""
    if version.number:
        return bool(version.comparison.get("has_judged_non_relevant"))
    stage = experiment.stages.filter(stage="evaluate", state=State.DONE).only("metrics").first()
    return bool(stage and stage.metrics.get("has_judged_non_relevant"))


def _data_folder(experiment: Experiment) -> Path:
    """What the evaluations read: the prepared data, which lacks what could not be used of the snapshot."""
    stage: StageRun | None = experiment.stages.filter(stage="prepare").first()
    prepared = stage_folder(experiment.project, stage) if stage else None
    return prepared or places.snapshot_folder(experiment.project, experiment.dataset)


def _first(experiment: Experiment, *, is_newest: bool) -> Version:
    return Version(
        0, experiment.created, str(experiment.started_by or ""), 0, 0, experiment.labels_version,
        experiment.comparison, experiment.dataset, is_newest,
    )  # fmt: skip


def _later(row: Rescoring, *, is_newest: bool) -> Version:
    return Version(
        row.number, row.created, str(row.asked_by or ""), row.judged, row.added, row.labels_version, row.comparison,
        row.qrels, is_newest,
    )  # fmt: skip


def _average(runs: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, dict[str, float]]:
    """As sptar_engine.evaluation.compare.average_seeds, which needs numpy."""
    return {
        measure: {query: fsum(run[measure][query] for run in runs) / len(runs) for query in values}
        for measure, values in runs[0].items()
    }
