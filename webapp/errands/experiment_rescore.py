"""Measures the stored runs of an experiment by today's judgements, and keeps both as a new version."""

from __future__ import annotations

from typing import Any

from sptar_engine.artifacts import write_json
from sptar_engine.errors import StageError
from sptar_engine.evaluation.baselines import settle
from webapp.errands.disk import told_when_full
from webapp.jobs.attempt import Attempt
from webapp.jobs.storing import storable
from webapp.models import Errand, Experiment
from webapp.selectors import measured
from webapp.services import rescoring

_NOT_MEASURED = ("training", "seconds", "peak_mib")
"""What the comparison of the start says of a search whatever the judgements."""


def run(errand: Errand, attempt: Attempt) -> dict[str, Any]:
    """Score the experiment `errand.subject` again; nothing when no judgement has changed. Redone when killed."""
    rows = Experiment.objects.select_related("project", "started_by")
    experiment = rows.filter(pk=errand.subject, project=errand.project_id).first()
    if experiment is None:
        return {}
    runs = measured.runs_of(experiment)
    if not runs:
        raise StageError("The stored runs are not on the disk any more. Run the experiment exactly again first.")
    labels_version = experiment.project.labels_version
    qrels = rescoring.todays_judgements(experiment)
    if rescoring.is_known(experiment, qrels):
        return {"version": 0, "labels_version": labels_version}
    from sptar_engine.evaluation.rescore import rescore  # numpy and scipy: this is a process of its own

    attempt.tick(0, 1, f"Measuring {len(runs)} searches by {qrels.pairs:,} judgements")
    scores, arms = rescore(runs, qrels, measured.min_grade_of(experiment))
    for arm, found in experiment.comparison.get("arms", {}).items():
        if arm in arms:
            arms[arm] |= {name: found[name] for name in _NOT_MEASURED if name in found}
    settle(arms)
    has_grade_0 = any(grade == 0 for grades in qrels.grades.values() for grade in grades.values())
    comparison = {
        "dataset": experiment.comparison.get("dataset", ""), "arms": arms, "has_judged_non_relevant": has_grade_0,
        # Chosen on held-out examples, which these judgements are not about.
        "families": experiment.comparison.get("families", {}), "notes": experiment.comparison.get("notes", []),
    }  # fmt: skip
    with told_when_full():
        name = rescoring.keep(experiment, qrels)
        write_json(measured.scores_file(experiment, name), scores)
    attempt.check()
    row = rescoring.add(
        experiment=experiment, name=name, qrels=qrels, labels_version=labels_version,
        comparison=storable(comparison), actor=errand.asked_by, fence=attempt.transaction,
    )  # fmt: skip
    return {"version": row.number, "labels_version": labels_version, "judged": row.judged, "added": row.added}
