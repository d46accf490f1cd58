"""Queues and leases: nobody is shown what somebody else has before them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from tests.webapp.review.conftest import BATCH
from webapp.models import BulkReview, Project, Review, ReviewLease, User, WeakQuery
from webapp.selectors.review_queues import held, standing
from webapp.services import review_leases, reviews

Take = Callable[..., WeakQuery | None]


@pytest.fixture
def take(project: Project, weak: list[WeakQuery]) -> Take:
    """Return `take(actor, queue)`."""
    return lambda actor, queue="queue": review_leases.take(project=project, batch=BATCH, actor=actor, queue=queue)


def expire() -> None:
    ReviewLease.objects.update(until=timezone.now() - timedelta(seconds=1))


def test_the_riskiest_come_first_and_stay_until_they_are_answered(
    take: Take, weak: list[WeakQuery], owner: User, project: Project
) -> None:
    assert take(owner) == weak[0]
    assert take(owner) == weak[0]
    reviews.give(project=project, actor=owner, weak=weak[0], verdict="accept")
    assert take(owner) == weak[1]
    assert ReviewLease.objects.get().weak == weak[1]


def test_dropped_and_reviewed_questions_are_not_shown(
    take: Take, write: Callable[..., list[WeakQuery]], owner: User, weak: list[WeakQuery]
) -> None:
    write("riskiest of all", risk=9, dropped="rank")
    WeakQuery.objects.filter(pk=weak[0].pk).update(verdict="accept")
    assert take(owner) == weak[1]


def test_no_card_lies_before_two_people(take: Take, weak: list[WeakQuery], member: Callable[[str], User]) -> None:
    people = [member("reviewer") for _ in range(13)]
    cards = [take(person) for person in people]
    assert cards == [*weak, None]


def test_what_is_not_answered_in_time_goes_to_the_next(
    take: Take, weak: list[WeakQuery], owner: User, reviewer: User, project: Project
) -> None:
    assert take(owner) == weak[0]
    expire()
    assert held(project, BATCH, owner, "queue") is None
    assert take(reviewer) == weak[0]
    assert take(owner) == weak[1]
    reviews.give(project=project, actor=owner, weak=weak[0], verdict="accept")
    assert Review.objects.get().weak == weak[0], "a late verdict counts"
    assert take(reviewer) == weak[2], "the next one lies before the other person"


def test_a_lease_lasts_ten_minutes_from_the_last_look(take: Take, owner: User) -> None:
    take(owner)
    ReviewLease.objects.update(until=timezone.now() + timedelta(seconds=5))
    take(owner)
    left = ReviewLease.objects.get().until - timezone.now()
    assert timedelta(minutes=9, seconds=50) < left <= timedelta(minutes=review_leases.MINUTES)


def test_what_was_passed_over_comes_back_later_or_when_asked_for(
    take: Take, weak: list[WeakQuery], owner: User, reviewer: User, project: Project
) -> None:
    review_leases.pass_over(weak=weak[0], actor=owner)
    assert take(owner) == weak[1]
    assert take(reviewer) == weak[2]
    expire()
    assert take(owner) == weak[0]
    for row in weak:
        review_leases.pass_over(weak=row, actor=owner)
    assert take(owner) is None
    assert standing(project, BATCH, owner, "queue") == "passed"
    assert standing(project, BATCH, reviewer, "queue") == "others"
    review_leases.take_up(project=project, batch=BATCH, actor=owner)
    assert standing(project, BATCH, reviewer, "queue") == "ready"
    assert take(owner) == weak[0]


def test_passing_over_takes_nothing_away_from_somebody_else(
    take: Take, weak: list[WeakQuery], owner: User, reviewer: User
) -> None:
    take(owner)
    review_leases.pass_over(weak=weak[0], actor=reviewer)
    assert take(owner) == weak[0]


def test_a_card_that_was_answered_meanwhile_is_not_shown(
    take: Take, weak: list[WeakQuery], owner: User, reviewer: User, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = review_leases.hold

    def slow(*, weak: WeakQuery, actor: User) -> bool:
        if weak.pk == first:
            WeakQuery.objects.filter(pk=weak.pk).update(verdict="accept")
        return hold(weak=weak, actor=actor)

    first = weak[0].pk
    monkeypatch.setattr(review_leases, "hold", slow)
    assert take(owner) == weak[1]
    assert [row.weak for row in ReviewLease.objects.all()] == [weak[1]]


def test_when_somebody_is_faster_the_next_card_comes(
    take: Take, weak: list[WeakQuery], owner: User, reviewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = review_leases.hold

    def snatched(*, weak: WeakQuery, actor: User) -> bool:
        if weak.pk == first:
            hold(weak=weak, actor=reviewer)
        return hold(weak=weak, actor=actor)

    first = weak[0].pk
    monkeypatch.setattr(review_leases, "hold", snatched)
    assert take(owner) == weak[1]
    assert ReviewLease.objects.get(weak=weak[0]).reviewer == reviewer


def test_the_sample_goes_by_lot_and_asks_for_a_look_of_a_person(
    take: Take, weak: list[WeakQuery], owner: User, reviewer: User, project: Project
) -> None:
    last = weak[-1]
    bulk = BulkReview.objects.create(project=project, batch=BATCH, verdict="accept", actor=owner)
    Review.objects.create(weak=last, reviewer=owner, verdict="accept", source="bulk", bulk=bulk)
    reviews.refresh([last.pk])
    assert take(owner, "sample") == last
    assert take(reviewer, "sample") == weak[-2]
    reviews.give(project=project, actor=owner, weak=last, verdict="reject", source="sample")
    assert take(owner, "sample") == weak[-3]


def test_a_second_opinion_is_asked_of_what_one_other_person_has_reviewed(
    take: Take, weak: list[WeakQuery], owner: User, reviewer: User, project: Project, member: Callable[[str], User]
) -> None:
    third = member("reviewer")
    for number in (3, 5):
        reviews.give(project=project, actor=owner, weak=weak[number], verdict="accept")
    assert take(owner, "second") is None
    assert take(reviewer, "second") == weak[3]
    assert take(third, "second") == weak[5]
    reviews.give(project=project, actor=reviewer, weak=weak[3], verdict="accept", source="second")
    assert take(reviewer, "second") is None, "the other one lies before somebody"
    reviews.give(project=project, actor=third, weak=weak[5], verdict="reject", source="second")
    expire()
    assert take(reviewer, "second") is None


def test_cards_of_two_queues_are_kept_side_by_side(take: Take, weak: list[WeakQuery], owner: User) -> None:
    assert take(owner, "sample") == weak[-1]
    assert take(owner, "queue") == weak[-1], "it waits in both, and lies before this person already"
    review_leases.pass_over(weak=weak[-1], actor=owner)
    assert take(owner, "queue") == weak[0]
    assert take(owner, "sample") == weak[0]
