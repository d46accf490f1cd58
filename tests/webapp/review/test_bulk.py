"""One verdict on all questions of a filter: batches, stops, and everything taken back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from sptar_engine.errors import StaleAttempt
from tests.webapp.review.conftest import BATCH, errand_of
from webapp.errands import KINDS
from webapp.errands import review_bulk as errand
from webapp.jobs.attempt import Attempt
from webapp.models import BulkReview, Errand, Event, Project, Review, ReviewStep, State, User, WeakQuery
from webapp.selectors.review_list import Filter
from webapp.services import review_bulk, reviews
from webapp.services.decisions import Conflict

Start = Callable[..., BulkReview]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errand, "_BATCH", 5)


@pytest.fixture
def start(project: Project, owner: User, weak: list[WeakQuery]) -> Start:
    """Return `start(verdict, reason="", **filter)`."""

    def make(verdict: str = "reject", reason: str = "", /, **values: Any) -> BulkReview:
        return review_bulk.start(
            project=project, batch=BATCH, chosen=Filter(**values), verdict=verdict, reason=reason, actor=owner
        )

    return make


def work(kind: str = review_bulk.KIND) -> dict[str, Any]:
    found = errand_of(kind)
    attempt = Attempt.claim(Errand, found.pk, found.attempt)
    assert attempt is not None
    done = errand.run(found, attempt)
    Errand.objects.filter(pk=found.pk).update(state=State.DONE)
    return done


def verdicts() -> list[str]:
    return list(WeakQuery.objects.order_by("pk").values_list("verdict", flat=True))


def test_the_kinds_are_registered() -> None:
    assert {KINDS[review_bulk.KIND], KINDS[review_bulk.UNDO_KIND]} == {errand.__name__}


def test_all_that_match_get_the_verdict_and_those_that_have_one_keep_it(
    start: Start, weak: list[WeakQuery], owner: User, reviewer: User, project: Project
) -> None:
    reviews.give(project=project, actor=reviewer, weak=weak[2], verdict="accept")
    made = start("reject", "vague", text="book 1")
    assert work() == {"questions": 3}
    made.refresh_from_db()
    assert made.questions == 3 and made.finished_at
    assert [pk for pk, verdict in enumerate(verdicts()) if verdict == "reject"] == [1, 10, 11]
    weak[1].refresh_from_db()
    assert (weak[1].reason, weak[1].reviewer, weak[1].disputed) == ("vague", owner, False)
    assert weak[1].reviewed_at
    assert set(Review.objects.filter(bulk=made).values_list("source", "reviewer")) == {("bulk", owner.pk)}
    assert [event.verb for event in Event.objects.filter(verb__startswith="review.bulk").order_by("pk")] == [
        "review.bulk_started", "review.bulk_done",
    ]  # fmt: skip


@pytest.mark.parametrize(("verdict", "given"), [("accept", 13), ("reject", 14)])
def test_accepting_leaves_out_what_no_training_can_use(
    start: Start, write: Callable[..., list[WeakQuery]], verdict: str, given: int
) -> None:
    write("dropped by clean-up", dropped="short")
    write("dropped by the filter", dropped="duplicate")
    start(verdict)
    assert work() == {"questions": given}


def test_a_filter_of_reviewed_questions_touches_nothing(
    start: Start, weak: list[WeakQuery], reviewer: User, project: Project
) -> None:
    reviews.give(project=project, actor=reviewer, weak=weak[2], verdict="accept")
    for values in ({"verdict": "accept"}, {"who": reviewer.pk}, {"reason": "vague"}, {"disputed": True}):
        start(**values)
        assert work() == {"questions": 0}
    assert verdicts().count("") == 11


def test_questions_that_came_later_are_left_alone(start: Start, write: Callable[..., list[WeakQuery]]) -> None:
    start()
    write("newer")
    assert work() == {"questions": 12}
    assert verdicts()[-1] == ""


def test_a_second_click_finds_the_work_of_the_first(start: Start) -> None:
    assert start(text="book") == start(text="book")
    assert start(text="loan") != start(text="book")
    assert Errand.objects.count() == 2


def test_killed_at_any_point_it_does_what_is_left(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    made = start("accept")
    found = errand_of(review_bulk.KIND)
    attempt = Attempt.claim(Errand, found.pk, found.attempt)
    assert attempt is not None
    monkeypatch.setattr(attempt, "tick", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        errand.run(found, attempt)
    assert verdicts().count("accept") == 5
    assert errand.run(found, Attempt(attempt.row)) == {"questions": 7}
    made.refresh_from_db()
    assert made.questions == Review.objects.count() == 12


def test_a_stale_attempt_writes_nothing(start: Start) -> None:
    start()
    found = errand_of(review_bulk.KIND)
    attempt = Attempt.claim(Errand, found.pk, found.attempt)
    assert attempt is not None
    Errand.objects.update(attempt=7)
    with pytest.raises(StaleAttempt):
        errand.run(found, attempt)
    assert not Review.objects.exists()


def test_undo_takes_all_back_but_what_people_said_since(
    start: Start, weak: list[WeakQuery], owner: User, reviewer: User, project: Project
) -> None:
    made = start("reject", "copied")
    work()
    reviews.give(project=project, actor=reviewer, weak=weak[0], verdict="accept")
    reviews.give(project=project, actor=owner, weak=weak[1], verdict="accept")
    review_bulk.undo(bulk=made, actor=owner)
    assert work(review_bulk.UNDO_KIND) == {"questions": 11}
    assert verdicts() == ["accept", "accept", *[""] * 10]
    weak[5].refresh_from_db()
    assert (weak[5].reason, weak[5].reviewer, weak[5].reviewed_at) == ("", None, None)
    assert not Review.objects.filter(bulk=made).exists()
    with pytest.raises(Conflict, match="already"):
        review_bulk.undo(bulk=made, actor=owner)
    # The verdict that replaced a bulk one goes back to nothing now.
    reviews.undo(project=project, actor=owner, step=ReviewStep.objects.get(actor=owner))
    assert verdicts()[1] == ""


def test_undo_in_the_middle_stops_what_is_still_being_given(start: Start, owner: User) -> None:
    made = start("accept")
    assert review_bulk.give_batch(bulk=made, ids=[WeakQuery.objects.earliest("pk").pk]) == 1
    review_bulk.undo(bulk=made, actor=owner)
    assert work() == {"questions": 0, "taken_back": True}
    assert work(review_bulk.UNDO_KIND) == {"questions": 1}
    assert set(verdicts()) == {""}
    made.refresh_from_db()
    assert made.finished_at is None


def test_all_like_one_question(start: Start, weak: list[WeakQuery], write: Callable[..., list[WeakQuery]]) -> None:
    write("How long is book 3 lent?", "something else")
    start("reject", like=weak[3].pk, how="same")
    assert work() == {"questions": 2}
    assert [number for number, verdict in enumerate(verdicts()) if verdict] == [3, 12]


@pytest.mark.parametrize("values", [("edit", ""), ("good", ""), ("accept", "vague"), ("reject", "because")])
def test_what_needs_a_look_cannot_be_given_to_many(start: Start, values: tuple[str, str]) -> None:
    with pytest.raises(ValidationError):
        start(*values)
    assert not BulkReview.objects.exists()


def test_an_errand_without_its_action_does_nothing(start: Start) -> None:
    start()
    BulkReview.objects.all().delete()
    assert work() == {}
