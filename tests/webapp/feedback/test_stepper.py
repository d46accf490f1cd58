"""The stepper knows the verdicts: how many there are, and whether the newest training used them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pytest_django import DjangoAssertNumQueries

from webapp.models import Change, Experiment, Project, Review, Role, State, User, WeakQuery
from webapp.prepared import Prepared
from webapp.selectors import step_facts, verdict_counts
from webapp.selectors.step_facts import Step
from webapp.selectors.steps import next_step, steps_of
from webapp.services import derive

pytestmark = pytest.mark.django_db
Say = Callable[..., WeakQuery]
Look = Callable[[int], None]


@pytest.fixture
def look(written: Experiment, owner: User) -> Look:
    """Return `look(number)`: so many of the seven kept questions, which are the sample, are looked at by somebody."""

    def make(number: int) -> None:
        for weak in WeakQuery.objects.filter(project=written.project, dropped="").order_by("draw", "id")[:number]:
            Review.objects.get_or_create(weak=weak, reviewer=owner, defaults={"verdict": "accept"})

    return make


def step(project: Project, key: str, role: Role | None = None) -> Step:
    found = Project.objects.select_related("corpus").get(pk=project.pk)
    return next(one for one in steps_of(found, role) if one.key == key)


def states(project: Project) -> dict[str, str]:
    found = Project.objects.select_related("corpus").get(pk=project.pk)
    return {one.key: one.state for one in steps_of(found)}


def test_review_begins_with_a_sample(written: Experiment) -> None:
    review = step(written.project, "review")
    assert (review.state, review.label) == ("ready", "Not started")
    assert review.url == f"/p/{written.project.slug}/review/"
    assert "Read 50" in review.why


def test_links_lead_to_the_pages_of_the_steps(written: Experiment) -> None:
    project = written.project
    assert step(project, "compare").url == f"/p/{project.slug}/compare/1/"
    assert step(project, "download").url == f"/p/{project.slug}/download/"
    assert step(project, "train").url == f"/p/{project.slug}/experiments/1/#train"


def test_verdicts_that_change_the_training_make_what_comes_after_out_of_date(
    written: Experiment, say: Say, look: Look
) -> None:
    look(6)
    say("w0", "accept")
    say("w1", "reject")
    review = step(written.project, "review")
    assert (review.label, review.why) == (
        "2 verdicts", "1 of 7 random questions are left; they tell how good all of them are."
    )  # fmt: skip
    assert states(written.project)["train"] == "done"
    look(7)
    assert "in no training yet" in step(written.project, "review").why
    found = states(written.project)
    assert [found[key] for key in ("tune", "generate", "review")] == ["done", "done", "ready"]
    assert [found[key] for key in ("train", "compare", "download")] == ["outdated"] * 3
    train = step(written.project, "train")
    assert train.url == f"/p/{written.project.slug}/experiments/1/retrain/"
    assert "since experiment 1: train again with them" in train.why
    assert next_step(written.project).label == "Train with the verdicts"


@pytest.mark.parametrize(
    ("weak_id", "verdict", "state"),
    [
        ("w0", "accept", "done"), ("w0", "unsure", "done"), ("w14", "accept", "done"), ("w0", "reject", "outdated"),
        ("w0", "edit", "outdated"), ("w9", "accept", "outdated"),
    ],
)  # fmt: skip
def test_only_what_changes_the_training_set_counts(
    written: Experiment, say: Say, look: Look, weak_id: str, verdict: str, state: str
) -> None:
    look(7)
    say(weak_id, verdict, "better" if verdict == "edit" else "")
    assert states(written.project)["train"] == state
    review = step(written.project, "review")
    assert ("no verdict changes the training" in review.why) == (review.state == "done") == (state == "done")


def test_verdicts_beside_the_sample_do_not_end_it(written: Experiment, say: Say) -> None:
    for number in range(7):
        say(f"w{number}", "reject")  # as a bulk action does: nobody has looked
    assert "7 of 7 random questions are left" in step(written.project, "review").why


def test_lower_roles_are_not_led_to_the_training(written: Experiment, say: Say, look: Look) -> None:
    look(7)
    say("w0", "reject")
    train = step(written.project, "train", Role.REVIEWER)
    assert "an editor can" in train.why and train.url.endswith("/experiments/1/#train")


def test_a_flag_changes_no_training(written: Experiment, say: Say) -> None:
    say("w0", "unsure")
    assert states(written.project)["train"] == "done"
    assert step(written.project, "review").label == "1 verdict"


def test_a_training_with_the_verdicts_is_up_to_date_until_they_change(
    written: Experiment, say: Say, owner: User, look: Look
) -> None:
    look(7)
    say("w0", "accept")
    say("w1", "reject")
    made = derive.with_verdicts(experiment=written, actor=owner, request_token="t")
    made.stages.update(state=State.DONE)
    made.stages.filter(step_id="generate.sptar").update(folder="generate-s")
    found = states(written.project)
    assert [found[key] for key in ("review", "train", "compare", "download")] == ["done"] * 4
    say("w1", "edit", "better")
    assert states(written.project)["train"] == "outdated"
    assert "in no training yet" in step(written.project, "review").why


def test_many_verdicts_are_counted_up_to_a_bound(
    written: Experiment, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("verdict_counts", "review_step"):
        monkeypatch.setattr(f"webapp.selectors.{module}.BOUND", 2)
    monkeypatch.setattr(step_facts, "_STAGES", Prepared(step_facts._stage_rows))
    for number in range(4):
        say(f"w{number}", "accept")
    assert step(written.project, "review").label == "2+ verdicts"
    Experiment.objects.filter(pk=written.pk).update(decision_counts={"accept": 3})
    assert states(written.project)["train"] == "done"  # beyond the bound one more is not noticed


def test_verdicts_of_other_projects_and_batches_do_not_count(written: Experiment, other_project: Project) -> None:
    for project, batch in ((other_project, "generate-s"), (written.project, "generate-old"), (written.project, "")):
        WeakQuery.objects.create(project=project, batch=batch, weak_id="x", doc_id="d", text="t", verdict="reject")
    assert step(written.project, "review").label == "Not started"


def test_the_experiments_of_a_learning_curve_are_not_where_the_project_stands(
    written: Experiment, make_experiment: Callable[..., Experiment]
) -> None:
    make_experiment(series="abc", change=Change.SEEDS, based_on=written, arms=["zero_shot", "sptar"])
    assert states(written.project)["train"] == "done"


def test_it_still_takes_two_queries(
    written: Experiment, say: Say, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    say("w0", "accept")
    project = Project.objects.select_related("corpus").get(pk=written.project_id)
    with django_assert_num_queries(2):
        steps_of(project)


def test_counts_are_the_sums_over_both_arms(written: Experiment, say: Say) -> None:
    say("w0", "accept")
    WeakQuery.objects.create(
        project=written.project, batch="generate-i", weak_id="i", doc_id="d", text="t", verdict="edit", edited="e"
    )
    rows = written.stages.annotate(**verdict_counts.columns()).values()
    counts = verdict_counts.counts_of(written.decision_counts, list(rows))
    assert (counts.accepted, counts.edited, counts.given) == (1, 1, 2)
    assert not counts.are_used
