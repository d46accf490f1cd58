"""New judgements make a new version, and only they change the figures."""

from __future__ import annotations

from collections.abc import Callable
from math import log2
from typing import Any

import pytest

from sptar_engine.data.beir import read_qrels
from tests.webapp.compare.conftest import TESTS
from webapp.models import Errand, Event, Experiment, Judgement, Query, Rescoring, State, User
from webapp.places import qrels_folder
from webapp.selectors import comparison_page, measured
from webapp.services import judgements, rescoring

Do = Callable[[Errand], dict[str, Any]]


def grade(
    experiment: Experiment, query_id: str, doc_id: str, value: int, actor: User, source: str = "unjudged"
) -> None:
    query = experiment.project.queries.get(query_id=query_id)
    judgements.grade(query=query, doc_id=doc_id, grade=value, actor=actor, source=source)


def score(experiment: Experiment, actor: User, do: Do) -> dict[str, Any]:
    experiment.project.refresh_from_db()
    return do(rescoring.ask(experiment=experiment, actor=actor))


def test_a_grade_changes_nothing_until_the_runs_are_measured_again(
    measured_one: Experiment, owner: User, do: Do
) -> None:
    # bm25 lists d39, d38 before the relevant document at rank 3. With d39 relevant too nDCG@10 of q14 is
    # (1 + 1/2) / (1 + 1/log2(3)); the other seven questions keep 1/2.
    grade(measured_one, "q14", "d39", 1, owner)
    before = measured.newest(measured_one)
    assert (before.number, before.arms["bm25"]["nDCG@10"]["mean"]) == (0, pytest.approx(0.5))

    assert score(measured_one, owner, do) | {"labels_version": 0} == {
        "version": 1, "labels_version": 0, "judged": 9, "added": 1,
    }  # fmt: skip
    after = measured.newest(measured_one)
    expected = ((1 + 0.5) / (1 + 1 / log2(3)) + 7 * 0.5) / 8
    assert after.arms["bm25"]["nDCG@10"]["mean"] == pytest.approx(expected)
    assert after.arms["sptar"]["versus"]["bm25"]["queries"] == 8
    scores = measured.scores_of(measured_one, after)
    assert scores["bm25"]["nDCG@10"]["q15"] == pytest.approx(0.5)
    assert (after.who, after.judged, after.added) == (str(owner), 9, 1)


def test_the_first_figures_stay_to_be_looked_at(measured_one: Experiment, owner: User, do: Do) -> None:
    grade(measured_one, "q14", "d39", 1, owner)
    score(measured_one, owner, do)
    newest, first = measured.versions_of(measured_one)
    assert (newest.number, first.number, newest.is_newest, first.is_newest) == (1, 0, True, False)
    assert first.arms["bm25"]["nDCG@10"]["mean"] == pytest.approx(0.5)
    assert comparison_page.version_named([newest, first], "0") is first
    assert comparison_page.version_named([newest, first], "nonsense") is newest


def test_the_judgements_of_a_version_are_kept_in_a_folder(measured_one: Experiment, owner: User, do: Do) -> None:
    grade(measured_one, "q14", "d39", 0, owner)
    score(measured_one, owner, do)
    row = Rescoring.objects.get()
    kept = read_qrels(qrels_folder(measured_one.project, row.qrels), "test")
    assert kept.grades["q14"] == {"d14": 1, "d39": 0}
    assert kept.pairs == row.judged == 9
    assert row.comparison["has_judged_non_relevant"] is True
    assert comparison_page.figures_of(measured_one, measured.newest(measured_one)).measures[-1] == "Judged@10"
    event = Event.objects.get(verb="experiment.rescored")
    assert (event.actor, event.facts["version"]) == (owner, 1)


def test_grades_of_the_playground_stay_out(measured_one: Experiment, owner: User, do: Do) -> None:
    grade(measured_one, "q14", "d39", 3, owner, source="playground")
    assert score(measured_one, owner, do)["version"] == 0
    assert not Rescoring.objects.exists()
    # Judged from the comparison it counts from then on.
    query = measured_one.project.queries.get(query_id="q14")
    row = Judgement.objects.get(query=query, doc_id="d39")
    judgements.grade(
        query=query, doc_id="d39", grade=2, actor=owner, seen=judgements.version_of([row]), source="unjudged"
    )
    assert score(measured_one, owner, do)["version"] == 1


def test_nothing_new_makes_no_version(measured_one: Experiment, owner: User, do: Do) -> None:
    assert score(measured_one, owner, do)["version"] == 0
    grade(measured_one, "q14", "d39", 0, owner)
    assert score(measured_one, owner, do)["version"] == 1
    assert score(measured_one, owner, do)["version"] == 0
    assert Rescoring.objects.count() == 1


def test_a_grade_taken_back_makes_a_version_too(measured_one: Experiment, owner: User, do: Do) -> None:
    grade(measured_one, "q14", "d39", 1, owner)
    score(measured_one, owner, do)
    Judgement.objects.filter(doc_id="d39").delete()
    assert score(measured_one, owner, do)["added"] == -1
    assert [one.number for one in measured.versions_of(measured_one)] == [2, 1, 0]
    assert measured.newest(measured_one).arms["bm25"]["nDCG@10"]["mean"] == pytest.approx(0.5)


def test_only_test_questions_of_the_experiment_count(measured_one: Experiment, owner: User) -> None:
    grade(measured_one, "q0", "d39", 1, owner)  # a training question
    query = Query.objects.create(project=measured_one.project, query_id="later", text="Later?", normalised="l")
    Judgement.objects.create(query=query, doc_id="d1", grade=1, judge=owner)
    assert set(rescoring.todays_judgements(measured_one).grades) == set(TESTS)


def test_a_question_that_is_gone_or_reworded_keeps_its_first_grades(measured_one: Experiment, owner: User) -> None:
    measured_one.project.queries.filter(query_id="q14").delete()
    grade(measured_one, "q15", "d39", 3, owner)
    measured_one.project.queries.filter(query_id="q15").update(text="Something else?")
    found = rescoring.todays_judgements(measured_one)
    assert (found.grades["q14"], found.grades["q15"]) == ({"d14": 1}, {"d15": 1})


def test_grades_of_documents_that_were_not_searched_do_not_count(measured_one: Experiment, owner: User) -> None:
    query = measured_one.project.queries.get(query_id="q14")
    Judgement.objects.create(query=query, doc_id="of another version", grade=1, judge=owner)
    assert rescoring.todays_judgements(measured_one).grades["q14"] == {"d14": 1}


def test_the_settled_grade_counts_else_that_of_the_first_judge(
    measured_one: Experiment, owner: User, stranger: User
) -> None:
    query = measured_one.project.queries.get(query_id="q14")
    Judgement.objects.create(query=query, doc_id="d39", grade=0, judge=owner)
    Judgement.objects.create(query=query, doc_id="d39", grade=3, judge=stranger)
    assert rescoring.todays_judgements(measured_one).grades["q14"]["d39"] == 0
    Judgement.objects.create(query=query, doc_id="d39", grade=2, judge=owner, settled=True)
    assert rescoring.todays_judgements(measured_one).grades["q14"]["d39"] == 2


def test_asking_twice_is_one_errand_and_a_running_experiment_waits(
    measured_one: Experiment, make_experiment: Callable[..., Experiment], owner: User
) -> None:
    assert rescoring.ask(experiment=measured_one, actor=owner) == rescoring.ask(experiment=measured_one, actor=owner)
    with pytest.raises(rescoring.NothingToScore, match="still runs"):
        rescoring.ask(experiment=make_experiment(), actor=owner)
    with pytest.raises(rescoring.NothingToScore, match="Nothing of this experiment is measured"):
        rescoring.ask(experiment=make_experiment(state=State.FAILED), actor=owner)


def test_the_page_says_that_figures_are_behind_until_they_are_measured_again(
    measured_one: Experiment, owner: User, do: Do
) -> None:
    grade(measured_one, "q14", "d39", 1, owner)
    measured_one.project.refresh_from_db()
    found = comparison_page.scoring_of(measured_one, measured.newest(measured_one))
    assert (found.is_behind, found.new_grades, found.is_open) == (True, 1, False)
    score(measured_one, owner, do)
    assert not comparison_page.scoring_of(measured_one, measured.newest(measured_one)).is_behind
    # Examples of other kinds change: measured again, nothing has changed, and the page does not ask once more.
    grade(measured_one, "q0", "d39", 1, owner)
    score(measured_one, owner, do)
    assert not comparison_page.scoring_of(measured_one, measured.newest(measured_one)).is_behind
