"""Tests the arms that two experiments share, each against itself, on the test questions of both."""

from __future__ import annotations

from typing import Any

from sptar_engine.artifacts import write_json
from sptar_engine.errors import StageError
from sptar_engine.records import Qrels
from webapp.errands.disk import told_when_full
from webapp.jobs.attempt import Attempt
from webapp.models import Errand, Experiment
from webapp.places import experiment_folder
from webapp.selectors import measured
from webapp.selectors.compared_pairs import basis_of, judged_by, pair_file

_DECIDING = "nDCG@10"


def run(errand: Errand, attempt: Attempt) -> dict[str, Any]:
    """Compare the experiments `before` and `after` of the errand's arguments. Done anew when it was killed."""
    rows = Experiment.objects.select_related("project").filter(project=errand.project_id)
    found = {one.pk: one for one in rows.filter(pk__in=[errand.arguments["before"], errand.arguments["after"]])}
    if len(found) < 2:
        return {}
    before, after = found[errand.arguments["before"]], found[errand.arguments["after"]]
    basis = basis_of(before, after)
    qrels, left_out, judgements = _judgements(before, after)
    from sptar_engine.evaluation.rescore import compare_experiments, score_runs  # numpy: a process of its own

    runs = {one.pk: measured.runs_of(one) for one in (before, after)}
    shared = [arm for arm in runs[before.pk] if arm in runs[after.pk]]
    unchanged = [arm for arm in shared if runs[before.pk][arm] == runs[after.pk][arm]]
    scores: dict[int, dict[str, Any]] = {before.pk: {}, after.pk: {}}
    for done, arm in enumerate(shared):
        attempt.tick(done, len(shared), f"Measuring on {len(qrels.grades):,} shared test questions")
        for one in (before, after):
            scores[one.pk][arm] = score_runs(runs[one.pk][arm], qrels, measured.min_grade_of(after))
    arms = compare_experiments(scores[before.pk], scores[after.pk], unchanged)
    for arm, one in arms.items():
        one["unchanged"] = arm in unchanged
    per_query = {
        arm: {
            query_id: [value, scores[after.pk][arm][_DECIDING][query_id]]
            for query_id, value in scores[before.pk][arm][_DECIDING].items()
        }
        for arm in arms
    }
    queries = max((len(values) for values in per_query.values()), default=0)
    result = {
        "basis": basis, "arms": arms, "queries": queries, "left_out": left_out, "judgements": judgements,
        "per_query": per_query,
    }  # fmt: skip
    attempt.check()
    with told_when_full():
        experiment_folder(after).mkdir(parents=True, exist_ok=True)
        write_json(pair_file(before, after), result)
    return {"queries": queries}


def _judgements(before: Experiment, after: Experiment) -> tuple[Qrels, int, str]:
    """The newest judgements of the questions that both were asked in the same words, and how many others there are."""
    texts, others = measured.questions_of(before), measured.questions_of(after)
    shared = {query_id for query_id, text in texts.items() if others.get(query_id) == text}
    experiment, version = judged_by(before, after)
    qrels = measured.qrels_of(experiment, version)
    grades = {query_id: found for query_id, found in qrels.grades.items() if query_id in shared}
    if not grades:
        raise StageError(
            "The two experiments have no test question in common, so nothing can be compared question by question. "
            "Repeat one of them with the examples of the other."
        )
    words = f"those of experiment {experiment.number}" + (f", version {version.number}" if version.number else "")
    return Qrels(grades), len({*texts, *others}) - len(grades), words
