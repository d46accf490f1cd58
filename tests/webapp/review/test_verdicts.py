"""Verdicts: what counts, nothing lost, nothing twice, and all of it taken back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.exceptions import ValidationError

from webapp.models import BulkReview, Event, Project, Review, ReviewLease, ReviewStep, User, WeakQuery
from webapp.selectors.review_verdicts import state_of
from webapp.services import guidelines, review_leases, reviews
from webapp.services.decisions import Conflict

Give = Callable[..., Review]


@pytest.fixture
def give(project: Project, owner: User, weak: list[WeakQuery]) -> Give:
    """Return `give(verdict, actor=…, of=0, …)`."""

    def make(verdict: str, actor: User = owner, of: int = 0, **values: str) -> Review:
        return reviews.give(project=project, actor=actor, weak=weak[of], verdict=verdict, **values)

    return make


def counting(row: WeakQuery) -> tuple[str, str, str, int | None, bool]:
    row.refresh_from_db()
    return row.verdict, row.edited, row.reason, row.reviewer_id, row.disputed


def undo_last(project: Project, actor: User) -> None:
    step = ReviewStep.objects.filter(actor=actor, undone=None).latest("pk")
    reviews.undo(project=project, actor=actor, step=step)


def test_a_verdict_counts_at_once_and_is_told(give: Give, weak: list[WeakQuery], owner: User, project: Project) -> None:
    guideline = guidelines.write(project=project, text="Ask as you speak.", seen=0, actor=owner)
    made = give("reject", reason="vague", source="sample")
    assert counting(weak[0]) == ("reject", "", "vague", owner.pk, False)
    assert (made.source, made.guideline, made.settled) == ("sample", guideline, False)
    event = Event.objects.filter(verb="review.given").get()
    assert event.facts["text"] == "how long is book 0 lent"
    assert event.facts["verdict"] == "rejected: too vague: many documents would answer it"


def test_the_same_verdict_again_changes_nothing(give: Give) -> None:
    first = give("accept")
    assert give("accept").pk == first.pk
    assert (Review.objects.count(), ReviewStep.objects.count(), Event.objects.count()) == (1, 1, 1)


def test_another_verdict_of_the_same_person_replaces_theirs(give: Give, weak: list[WeakQuery], owner: User) -> None:
    give("accept")
    give("edit", text="  how long may I\nkeep book 0 ")
    assert counting(weak[0]) == ("edit", "how long may I keep book 0", "", owner.pk, False)
    assert Review.objects.count() == 1


def test_an_edit_that_changes_nothing_is_an_acceptance(give: Give, weak: list[WeakQuery], owner: User) -> None:
    give("edit", text="how long is book 0 lent")
    assert counting(weak[0]) == ("accept", "", "", owner.pk, False)


@pytest.mark.parametrize(
    "values",
    [
        {"verdict": "good"}, {"verdict": ""}, {"verdict": "edit"}, {"verdict": "edit", "text": " \n"},
        {"verdict": "edit", "text": "x" * 2001}, {"verdict": "accept", "reason": "vague"},
        {"verdict": "reject", "reason": "because"}, {"verdict": "accept", "text": "better"},
        {"verdict": "accept", "source": "bulk"},
    ],
)  # fmt: skip
def test_what_is_no_verdict_is_refused_with_a_sentence(give: Give, values: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        give(**values)
    assert not Review.objects.exists()


def test_a_question_of_another_project_is_refused(weak: list[WeakQuery], owner: User) -> None:
    other = Project.objects.create(name="Other")
    with pytest.raises(ValidationError, match="no such question"):
        reviews.give(project=other, actor=owner, weak=weak[0], verdict="accept")


@pytest.mark.parametrize(("verdict", "text"), [("accept", ""), ("edit", "better words")])
def test_what_clean_up_dropped_can_be_neither_accepted_nor_edited(
    give: Give, weak: list[WeakQuery], verdict: str, text: str
) -> None:
    WeakQuery.objects.filter(pk=weak[0].pk).update(dropped="short")
    with pytest.raises(ValidationError, match=r"Clean-up dropped this question \(too short\)"):
        give(verdict, text=text)
    give("reject")


def test_the_first_verdict_counts_until_a_disagreement_is_settled(
    give: Give, weak: list[WeakQuery], owner: User, reviewer: User, project: Project, member: Callable[[str], User]
) -> None:
    give("accept")
    give("reject", reviewer, reason="copied", source="second")
    assert counting(weak[0]) == ("accept", "", "", owner.pk, True)
    third = member("reviewer")
    seen = state_of(list(weak[0].reviews.all()))
    reviews.settle(project=project, actor=third, weak=weak[0], verdict="reject", reason="vague", seen=seen)
    assert counting(weak[0]) == ("reject", "", "vague", third.pk, False)
    assert Review.objects.filter(settled=False).count() == 2
    give("edit", text="what else")
    assert counting(weak[0])[0] == "reject"


def test_a_flag_asks_for_help_and_contradicts_nobody(
    give: Give, weak: list[WeakQuery], owner: User, reviewer: User
) -> None:
    give("unsure")
    assert counting(weak[0]) == ("unsure", "", "", owner.pk, False)
    give("accept", reviewer)
    assert counting(weak[0]) == ("accept", "", "", reviewer.pk, False)


def test_a_look_at_one_question_outweighs_a_bulk_action(
    give: Give, weak: list[WeakQuery], owner: User, reviewer: User, project: Project
) -> None:
    bulk = BulkReview.objects.create(project=project, batch=weak[0].batch, verdict="reject", actor=owner)
    Review.objects.create(weak=weak[0], reviewer=owner, verdict="reject", source="bulk", bulk=bulk)
    give("accept", reviewer)
    assert counting(weak[0]) == ("accept", "", "", reviewer.pk, False)
    give("reject")
    assert counting(weak[0])[4], "now two people have looked and disagree"
    undo_last(project, owner)
    assert Review.objects.get(reviewer=owner).bulk == bulk
    assert counting(weak[0]) == ("accept", "", "", reviewer.pk, False)


def test_settling_needs_two_people_and_the_verdicts_that_were_seen(
    give: Give, weak: list[WeakQuery], owner: User, reviewer: User, project: Project
) -> None:
    give("accept")
    seen = state_of(list(weak[0].reviews.all()))
    with pytest.raises(ValidationError, match="only one person"):
        reviews.settle(project=project, actor=owner, weak=weak[0], verdict="accept", seen=seen)
    give("reject", reviewer)
    with pytest.raises(Conflict, match="have changed"):
        reviews.settle(project=project, actor=owner, weak=weak[0], verdict="accept", seen=seen)
    seen = state_of(list(weak[0].reviews.all()))
    with pytest.raises(ValidationError, match="not by a flag"):
        reviews.settle(project=project, actor=owner, weak=weak[0], verdict="unsure", seen=seen)
    assert not Review.objects.filter(settled=True).exists()


def test_undo_goes_back_step_by_step(give: Give, weak: list[WeakQuery], owner: User, project: Project) -> None:
    give("accept")
    give("reject", reason="vague")
    undo_last(project, owner)
    assert counting(weak[0])[0] == "accept"
    undo_last(project, owner)
    assert counting(weak[0]) == ("", "", "", None, False)
    weak[0].refresh_from_db()
    assert weak[0].reviewed_at is None
    assert not Review.objects.exists()
    assert ReviewLease.objects.get().weak == weak[0], "it lies before the person again"


def test_an_earlier_step_waits_for_the_later_ones(give: Give, owner: User, project: Project) -> None:
    give("accept")
    first = ReviewStep.objects.get()
    give("reject")
    with pytest.raises(Conflict, match="changed again"):
        reviews.undo(project=project, actor=owner, step=first)
    undo_last(project, owner)
    reviews.undo(project=project, actor=owner, step=first)
    with pytest.raises(Conflict, match="already"):
        reviews.undo(project=project, actor=owner, step=first)


def test_undoing_a_settlement_brings_the_disagreement_back(
    give: Give, weak: list[WeakQuery], owner: User, reviewer: User, project: Project
) -> None:
    give("accept")
    give("reject", reviewer)
    seen = state_of(list(weak[0].reviews.all()))
    reviews.settle(project=project, actor=reviewer, weak=weak[0], verdict="reject", seen=seen)
    seen = state_of(list(weak[0].reviews.all()))
    reviews.settle(project=project, actor=owner, weak=weak[0], verdict="accept", seen=seen)
    assert counting(weak[0])[3] == owner.pk
    with pytest.raises(Conflict):
        undo_last(project, reviewer)
    undo_last(project, owner)
    assert counting(weak[0])[:4] == ("reject", "", "", reviewer.pk)
    undo_last(project, reviewer)
    assert counting(weak[0]) == ("accept", "", "", owner.pk, True)


def test_an_answer_ends_the_lease(give: Give, weak: list[WeakQuery], owner: User, reviewer: User) -> None:
    assert review_leases.hold(weak=weak[0], actor=owner)
    give("accept", reviewer)
    assert ReviewLease.objects.get().reviewer == owner, "somebody else's card is not taken from under their eyes"
    give("accept")
    assert not ReviewLease.objects.exists()
