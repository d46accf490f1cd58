"""Two experiments: the test of the arms that both have, and what differs in how they were made."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import log2
from typing import Any

import pytest

from sptar_engine.errors import StageError
from tests.webapp.compare.conftest import TESTS
from webapp.models import Errand, Experiment, Project, State, User
from webapp.selectors.compared_pairs import differences_of, judged_by, paired_of, subject_of
from webapp.services import baselines, judgements, pairings, rescoring

Do = Callable[[Errand], dict[str, Any]]


def test_the_same_arm_is_tested_on_the_shared_questions(
    measured_one: Experiment, another: Experiment, owner: User, do: Do
) -> None:
    assert paired_of(measured_one, another) is None
    assert do(pairings.ask(before=measured_one, after=another, actor=owner)) == {"queries": 8}
    found = paired_of(measured_one, another)
    assert found is not None
    rows = {row.arm: row for row in found.rows}
    # SPTAR put the relevant document first, then second: 1 and 1/log2(3) for each of the eight questions.
    assert rows["sptar"].before.mean == pytest.approx(1.0)
    assert rows["sptar"].after.mean == pytest.approx(1 / log2(3))
    assert not rows["sptar"].unchanged
    # All 8 differ the same way: p = 2/256. Baselines are in the family too, for their folders differ here: 3 x 2/256.
    assert rows["sptar"].verdict.p == f"{3 * 2 / 256:.3f}"
    assert rows["bm25"].verdict.difference == "+0.000"
    assert found.per_query["sptar"]["q14"] == [pytest.approx(1.0), pytest.approx(1 / log2(3))]
    assert (found.queries, found.left_out) == (8, 0)


def test_an_arm_with_the_very_same_results_is_no_test(
    measured_one: Experiment, another: Experiment, owner: User, do: Do
) -> None:
    for arm in ("bm25", "zero_shot"):
        folder = measured_one.stages.get(step_id=f"evaluate.{arm}").folder
        another.stages.filter(step_id=f"evaluate.{arm}").update(folder=folder)
    do(pairings.ask(before=measured_one, after=another, actor=owner))
    found = paired_of(measured_one, another)
    assert found is not None
    assert {row.arm: row.unchanged for row in found.rows} == {"bm25": True, "zero_shot": True, "sptar": False}
    sptar = found.rows[-1]
    assert (sptar.verdict.p, sptar.verdict.state, sptar.verdict.words) == ("0.008", "worse", "worse: likely real")


def test_questions_in_other_words_are_left_out(
    measured_one: Experiment, another: Experiment, owner: User, do: Do
) -> None:
    from webapp.selectors.artifacts import stage_folder

    folder = stage_folder(another.project, another.stages.get(stage="prepare"))
    assert folder is not None
    rows = [{"_id": one, "text": "Reworded?" if one == "q14" else f"What is {one}?"} for one in TESTS]
    (folder / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert do(pairings.ask(before=measured_one, after=another, actor=owner)) == {"queries": 7}
    found = paired_of(measured_one, another)
    assert found is not None
    assert found.left_out == 1
    (folder / "queries.jsonl").write_text("".join(json.dumps({**row, "text": "New?"}) + "\n" for row in rows))
    with pytest.raises(StageError, match="no test question in common"):
        do(pairings.ask(before=measured_one, after=another, actor=owner))


def test_new_judgements_make_the_test_out_of_date(
    measured_one: Experiment, another: Experiment, owner: User, do: Do
) -> None:
    do(pairings.ask(before=measured_one, after=another, actor=owner))
    query = another.project.queries.get(query_id="q14")
    judgements.grade(query=query, doc_id="d39", grade=1, actor=owner, source="unjudged")
    assert paired_of(measured_one, another) is not None
    measured_one.project.refresh_from_db()
    do(rescoring.ask(experiment=measured_one, actor=owner))
    assert paired_of(measured_one, another) is None
    experiment, version = judged_by(measured_one, another)
    assert (experiment, version.number) == (measured_one, 1)
    do(pairings.ask(before=measured_one, after=another, actor=owner))
    found = paired_of(measured_one, another)
    assert found is not None
    assert found.judgements == "those of experiment 1, version 1"


def test_only_what_differs_is_listed(measured_one: Experiment, another: Experiment) -> None:
    assert [one.option for one in differences_of(measured_one, another)] == []
    train = another.stages.get(stage="train")
    train.config["epochs"] = 9
    train.save()
    another.decisions, another.decision_counts, another.seeds = "x", {"accept": 3, "reject": 2}, 2
    found = {one.option: (one.before, one.after) for one in differences_of(measured_one, another)}
    assert found == {
        "Repeats of each training": ("1", "2"),
        "Verdicts on generated questions": ("none", "3 accept, 2 reject"),
        "epochs": (str(measured_one.stages.get(stage="train").config["epochs"]), "9"),
    }


def test_an_experiment_is_not_compared_with_itself_or_with_nothing(
    measured_one: Experiment, make_experiment: Callable[..., Experiment], owner: User
) -> None:
    with pytest.raises(pairings.NothingToCompare, match="the same experiment"):
        pairings.ask(before=measured_one, after=measured_one, actor=owner)
    with pytest.raises(pairings.NothingToCompare, match="experiment 2 is measured"):
        pairings.ask(before=measured_one, after=make_experiment(state=State.DONE), actor=owner)


def test_two_pairs_are_two_errands(measured_one: Experiment, another: Experiment, owner: User) -> None:
    one = pairings.ask(before=measured_one, after=another, actor=owner)
    other = pairings.ask(before=another, after=measured_one, actor=owner)
    assert one != other
    assert one.subject == subject_of(measured_one, another) != other.subject


def test_the_baseline_is_pinned_once_and_taken_off(project: Project, measured_one: Experiment, owner: User) -> None:
    for experiment in (measured_one, measured_one, None, None):
        baselines.pin(project=project, experiment=experiment, actor=owner)
    project.refresh_from_db()
    assert project.baseline is None
    verbs = list(project.events.order_by("pk").values_list("verb", flat=True))
    assert verbs[-2:] == ["project.baseline_pinned", "project.baseline_unpinned"]
    assert len([verb for verb in verbs if verb.startswith("project.baseline")]) == 2
