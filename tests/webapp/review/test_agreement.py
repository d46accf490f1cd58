"""Agreement between reviewers, counters, and the queue of disagreements."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.webapp.review.conftest import BATCH
from webapp.models import BulkReview, Project, User, WeakQuery
from webapp.selectors import review_agreement as selector
from webapp.services import reviews

Say = Callable[..., None]


@pytest.fixture
def say(project: Project, owner: User, reviewer: User, weak: list[WeakQuery]) -> Say:
    """Return `say(first, second, of=…)`: the owner's verdict and the reviewer's, blind, on one question."""

    def make(first: str, second: str, of: int, source: str = "second") -> None:
        for actor, verdict, how in ((owner, first, "queue"), (reviewer, second, source)):
            text = "better words" if verdict == "edit" else ""
            reviews.give(project=project, actor=actor, weak=weak[of], verdict=verdict, text=text, source=how)

    return make


def test_kappa_is_that_of_a_hand_count(say: Say, project: Project, owner: User, reviewer: User) -> None:
    pairs = [("accept", "accept")] * 3 + [("reject", "reject")] * 2 + [("edit", "accept"), ("accept", "reject")]
    for number, (first, second) in enumerate(pairs):
        say(first, second, number)
    say("unsure", "accept", 7)
    say("accept", "reject", 8, source="list")  # not blind
    [found] = selector.pairings(project, BATCH)
    assert {found.one, found.other} == {str(owner), str(reviewer)}
    # Of use or not: 6 of 7 alike; expected (5 * 4 + 2 * 3) / 49 = 26 / 49; kappa (6/7 - 26/49) / (23/49) = 16 / 23.
    assert (found.use.same, found.use.n) == (6, 7)
    assert found.use.kappa == pytest.approx(16 / 23)
    assert found.use.words == "substantial"
    # Exactly: 5 of 7; expected (accept 4 * 4 + reject 2 * 3) / 49 = 22 / 49; kappa (35 - 22) / (49 - 22) = 13 / 27.
    assert found.verdicts.same == 5
    assert found.verdicts.kappa == pytest.approx(13 / 27)
    assert found.is_few


def test_who_changes_a_verdict_after_seeing_the_others_is_not_blind(
    say: Say, project: Project, owner: User, weak: list[WeakQuery]
) -> None:
    say("accept", "accept", 0)
    say("accept", "reject", 1)
    reviews.give(project=project, actor=owner, weak=weak[1], verdict="reject", source="list")
    [found] = selector.pairings(project, BATCH)
    assert (found.verdicts.same, found.verdicts.n) == (1, 1)


def test_counters_tell_looks_from_bulk_actions(
    say: Say, project: Project, owner: User, reviewer: User, weak: list[WeakQuery]
) -> None:
    say("accept", "reject", 0)
    say("edit", "edit", 1)
    reviews.give(project=project, actor=owner, weak=weak[2], verdict="unsure")
    BulkReview.objects.create(project=project, batch=BATCH, verdict="reject", actor=owner, questions=900)
    BulkReview.objects.create(project=project, batch="other", verdict="reject", actor=owner, questions=5)
    one, other = selector.people(project, BATCH)
    assert (one["who"], one["reviewed"], one["accept"], one["edit"], one["unsure"]) == (str(owner), 3, 1, 1, 1)
    assert (one["second"], one["bulk"]) == (0, 900)
    assert (other["who"], other["reviewed"], other["second"], other["bulk"]) == (str(reviewer), 2, 2, 0)


def test_disagreements_wait_until_they_are_settled(
    say: Say, project: Project, owner: User, weak: list[WeakQuery]
) -> None:
    say("accept", "reject", 0)
    say("accept", "accept", 1)
    say("edit", "reject", 2)
    found, more = selector.disagreements(project, BATCH)
    assert ([one.weak for one in found], more) == ([weak[0], weak[2]], False)
    assert [review.verdict for review in found[1].reviews] == ["edit", "reject"]
    assert selector.disputed(project, BATCH) == 2
