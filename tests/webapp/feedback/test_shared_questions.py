"""Questions that two arms share, since they ask for them in the same way: verdicts on them reach both."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from sptar_engine.arms import ARMS
from tests.webapp.feedback.conftest import RANKS
from webapp.models import Experiment, Project, State, User, WeakQuery
from webapp.selectors.comparisons import pair_words
from webapp.selectors.question_rows import question_rows
from webapp.selectors.questions import written
from webapp.selectors.review_batches import find
from webapp.selectors.review_effects import effect_of, retrained
from webapp.services import derive, experiments

pytestmark = pytest.mark.django_db
ARM_NAMES = ["bm25", "zero_shot", "inpars", "promptagator"]
SAME_QUESTIONS = {"select": dict(ARMS["promptagator"].settings["select"])}
SAME_FILTER = {**SAME_QUESTIONS, "filter": {"method": "bm25", "top_k": 20}}


def begin(project: Project, owner: User, settings: dict[str, dict[str, object]]) -> Experiment:
    """Everything up to the filters is done; the questions are those of the folder generate-shared."""
    made = experiments.start(
        project=project, actor=owner, request_token="t", preset="fast", arms=ARM_NAMES, settings=settings
    )
    made.stages.update(state=State.DONE)
    assert [row.arms for row in made.stages.filter(stage="generate")] == [["inpars", "promptagator"]]
    made.stages.filter(stage="generate").update(folder="generate-shared", metrics={"queries": len(RANKS)})
    for row in made.stages.filter(stage="filter"):
        row.folder, row.metrics = f"filter-{row.arms[0]}", {"kept": 7, "total": len(RANKS)}
        row.save()
    WeakQuery.objects.bulk_create(
        WeakQuery(
            project=project, batch="generate-shared", weak_id=f"w{at}", doc_id=f"d{at}", text=f"question {at}",
            rank=rank, dropped="" if rank is not None and rank <= 30 else "rank",
        )
        for at, rank in enumerate(RANKS)
    )  # fmt: skip
    return made


@pytest.mark.parametrize("asked", [SAME_QUESTIONS, SAME_FILTER], ids=["questions", "questions and filter"])
def test_verdicts_take_part_in_the_training_of_every_arm_that_has_the_question(
    ready: Project, owner: User, asked: dict[str, dict[str, object]]
) -> None:
    base = begin(ready, owner, asked)
    assert derive.batches_of(base) == {"inpars": "generate-shared", "promptagator": "generate-shared"}
    WeakQuery.objects.filter(weak_id="w0").update(verdict="reject")
    made = derive.with_verdicts(experiment=base, actor=owner, request_token="u")
    trainings = list(made.stages.filter(stage="train"))
    assert all("decisions" in row.inputs for row in trainings)
    assert (
        {arm for row in trainings for arm in row.arms} == experiments.reviewed_arms(made) == {"inpars", "promptagator"}
    )
    again = experiments.repeat(experiment=made, actor=owner, request_token="v")
    assert {row.step_id: row.inputs for row in again.stages.all()} == {
        row.step_id: row.inputs for row in made.stages.all()
    }
    made.stages.filter(stage="generate").update(folder="generate-shared")
    for arm in ("inpars", "promptagator"):
        batch = find(ready, base.number, arm)
        assert batch is not None
        assert [(one.experiment, one.is_current) for one in retrained(batch)] == [(made, True)]


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        (SAME_QUESTIONS, ["Plain prompt (InPars)", "Described task (Promptagator)"]),
        (SAME_FILTER, ["Plain prompt (InPars) and Described task (Promptagator)"]),
    ],
    ids=["questions", "questions and filter"],
)
def test_the_experiments_page_names_both(
    ready: Project, owner: User, asked: dict[str, dict[str, object]], names: list[str]
) -> None:
    base = begin(ready, owner, asked)
    found = written(base, list(base.stages.order_by("position")))
    assert [one.arm for one in found] == names
    keys = {one.lengths.frame.key for one in found if one.lengths}
    assert len(keys) == len(names)


def test_the_effect_counts_by_the_filter_that_both_share(ready: Project, owner: User) -> None:
    begin(ready, owner, SAME_FILTER)
    WeakQuery.objects.filter(weak_id="w0").update(verdict="reject")
    for arm in ("inpars", "promptagator"):
        batch = find(ready, 1, arm)
        assert batch is not None
        found = effect_of(batch)
        assert found is not None and (found.before, found.removed) == (7 + 20, 1)


@pytest.mark.parametrize("arm", ["inpars", "promptagator"])
def test_rows_of_each_arm_are_kept_by_the_filter_that_both_share(ready: Project, owner: User, arm: str) -> None:
    base = begin(ready, owner, SAME_FILTER)
    rows = list(question_rows(base.stages.get(stage="generate"), arm))
    kept = sum(rank is not None and rank <= 20 for rank in RANKS)
    assert sum(bool(row["kept"]) for row in rows) == kept
    assert {row["arm"] for row in rows} == {arm}
    assert len(rows) == len(RANKS)


def test_the_review_pages_say_that_another_arms_filter_keeps(ready: Project, owner: User, client: Client) -> None:
    begin(ready, owner, SAME_QUESTIONS)
    client.force_login(owner)
    said = "has one of its own, which its training and the downloads follow"
    pages = {
        arm: client.get(reverse("review_batch", args=[ready.slug, 1, arm])).content.decode()
        for arm in ("inpars", "promptagator")
    }
    assert said not in pages["inpars"]
    assert f"“Described task (Promptagator)” {said}" in pages["promptagator"]


def test_a_training_that_both_share_counts_for_both(ready: Project, owner: User) -> None:
    base = begin(ready, owner, SAME_FILTER)
    base.stages.filter(stage="train").update(metrics={"seed_pairs": 20, "weak_pairs": 7})
    words = pair_words(list(base.stages.order_by("position")))
    assert words.count("on 20 example pairs and 7 generated questions") == 2
    assert "unequal" not in words
