"""Each change of a row's owner is one update that names the attempt: of several processes exactly one succeeds."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from webapp.jobs import leases
from webapp.models import Errand, Project, State
from webapp.services import errands

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("either_database", "no_redis")]


@pytest.fixture
def errand(either_database: None) -> Errand:
    return errands.ask(kind="upload.check", project=None, subject=1, actor=None)


def now_of(errand: Errand) -> Errand:
    return Errand.objects.get(pk=errand.pk)


def test_row_is_claimed_once(errand: Errand) -> None:
    first = leases.claim(Errand, errand.pk, 1)
    assert first is not None and first.state == State.RUNNING and " process " in first.owner
    assert first.lease_until is not None and first.lease_until > timezone.now() + timedelta(seconds=50)
    assert leases.claim(Errand, errand.pk, 1) is None


def test_row_is_taken_once_and_still_claimed(errand: Errand) -> None:
    assert leases.take(Errand, errand.pk, 1) is not None
    assert leases.take(Errand, errand.pk, 1) is None
    assert now_of(errand).state == State.QUEUED
    assert leases.claim(Errand, errand.pk, 1) is not None


@pytest.mark.parametrize("attempt", [0, 2])
def test_another_attempt_than_the_one_that_waits_is_not_claimed(errand: Errand, attempt: int) -> None:
    assert leases.claim(Errand, errand.pk, attempt) is None
    assert leases.take(Errand, errand.pk, attempt) is None
    assert now_of(errand).state == State.QUEUED


def test_old_attempt_can_change_nothing_after_a_new_one_began(errand: Errand) -> None:
    old = leases.claim(Errand, errand.pk, 1)
    assert old is not None and leases.release(old)
    new = leases.claim(Errand, errand.pk, 2)
    assert new is not None
    old.attempt = 1  # as the old process still knows it
    changes = (leases.renew(old), leases.finish(old), leases.fail(old, "no"), leases.cancel(old), leases.crash(old, ""))
    assert not any(changes)
    assert now_of(errand).state == State.RUNNING and now_of(errand).attempt == 2


def test_released_work_waits_under_a_new_attempt(errand: Errand) -> None:
    work = leases.claim(Errand, errand.pk, 1)
    assert work is not None and leases.release(work)
    row = now_of(errand)
    assert (row.state, row.attempt, row.owner, row.lease_until, row.restarts) == (State.QUEUED, 2, "", None, 1)


def test_released_work_that_was_called_off_is_not_queued_again(errand: Errand) -> None:
    work = leases.claim(Errand, errand.pk, 1)
    assert work is not None
    errands.cancel(errand=errand, actor=None)
    assert leases.release(work)
    assert now_of(errand).state == State.CANCELLED


def test_third_crash_at_the_same_place_is_the_last(errand: Errand) -> None:
    for attempt in (1, 2):
        work = leases.claim(Errand, errand.pk, attempt)
        assert work is not None and leases.crash(work, "why")
        assert (now_of(errand).state, now_of(errand).crashes) == (State.QUEUED, attempt)
    work = leases.claim(Errand, errand.pk, 3)
    assert work is not None and leases.crash(work, "why")
    row = now_of(errand)
    assert (row.state, row.error, row.finished_at is not None) == (State.FAILED, "why", True)


def test_crashes_that_get_further_each_time_go_on(errand: Errand) -> None:
    """A machine that is switched off every night ends no work."""
    for attempt in range(1, 6):
        work = leases.claim(Errand, errand.pk, attempt)
        assert work is not None and leases.renew(work, done=attempt)
        assert leases.crash(work, "why")
    row = now_of(errand)
    assert (row.state, row.crashes, row.restarts, row.reached) == (State.QUEUED, 1, 5, 5)


def test_crash_before_the_claim_counts_too(errand: Errand) -> None:
    """A process that dies while it starts must not be started for ever."""
    taken = leases.take(Errand, errand.pk, 1)
    assert taken is not None and leases.crash(taken, "why")
    assert (now_of(errand).attempt, now_of(errand).crashes) == (2, 1)


def test_crash_of_work_that_was_called_off_ends_it(errand: Errand) -> None:
    work = leases.claim(Errand, errand.pk, 1)
    assert work is not None
    errands.cancel(errand=errand, actor=None)
    assert now_of(errand).state == State.RUNNING
    assert leases.crash(work, "why")
    assert now_of(errand).state == State.CANCELLED


def test_finished_errand_makes_room_for_the_next_one(errand: Errand) -> None:
    work = leases.claim(Errand, errand.pk, 1)
    assert work is not None and leases.finish(work, metrics={"rows": 3})
    row = now_of(errand)
    assert (row.state, row.metrics, row.lease_until) == (State.DONE, {"rows": 3}, None)
    again = errands.ask(kind="upload.check", project=None, subject=1, actor=None)
    assert again.pk != errand.pk


def test_errand_is_asked_for_once_while_it_is_open(errand: Errand) -> None:
    project = Project.objects.create(name="Other")
    assert errands.ask(kind="upload.check", project=project, subject=1, actor=None) == errand
    assert errands.ask(kind="upload.import", project=project, subject=1, actor=None) != errand
