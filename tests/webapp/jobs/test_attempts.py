"""What work is handed: reports once a second, writes only while the row is its own, stops when asked."""

from __future__ import annotations

import pytest
from django.utils import timezone

from sptar_engine.errors import Cancelled, StaleAttempt
from webapp.jobs import attempt as attempts
from webapp.jobs.attempt import Attempt, Stop
from webapp.models import Errand, Event, Project
from webapp.services import errands, events

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_redis")]


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(attempts.time, "monotonic", made)
    return made


@pytest.fixture
def attempt(project: Project) -> Attempt:
    errand = errands.ask(kind="upload.check", project=project, subject=1, actor=None)
    made = Attempt.claim(Errand, errand.pk, 1)
    assert made is not None
    return made


def row_of(attempt: Attempt) -> Errand:
    return Errand.objects.get(pk=attempt.row.pk)


def test_report_is_written_once_a_second(attempt: Attempt, clock: Clock) -> None:
    for done in range(1, 31):
        clock.now += 0.25
        attempt.tick(done, 30, "rows read", rate=done * 1.5)
        if done in (1, 4, 5, 6):
            assert row_of(attempt).done == {1: 1, 4: 1, 5: 5, 6: 5}[done]
    attempt.flush()
    row = row_of(attempt)
    assert (row.done, row.total, row.message, row.metrics) == (30, 30, "rows read", {"rate": 45.0})


def test_report_takes_few_queries(attempt: Attempt, clock: Clock, django_assert_max_num_queries: object) -> None:
    with django_assert_max_num_queries(5):  # type: ignore[operator]
        attempt.tick(1, 2, "rows read")  # savepoint, fence, report, release, look
        for _ in range(100):
            attempt.tick(2, 2, "rows read")


def test_report_without_nul_whatever_a_model_says(attempt: Attempt) -> None:
    attempt.tick(1, 1, "a\0b", last_query="what\0is")
    assert (row_of(attempt).message, row_of(attempt).metrics) == ("a\N{REPLACEMENT CHARACTER}b", {
        "last_query": "what\N{REPLACEMENT CHARACTER}is",
    })  # fmt: skip


def test_cancelled_work_stops_at_its_next_report(attempt: Attempt, clock: Clock) -> None:
    attempt.tick(1, 9)
    errands.cancel(errand=attempt.row, actor=None)
    clock.now += 2
    with pytest.raises(Cancelled):
        attempt.tick(2, 9)
    assert attempt.should_stop() and attempt.stop is Stop.CANCEL


def test_work_of_a_deleted_project_stops(attempt: Attempt, clock: Clock) -> None:
    Project.objects.update(deleted=timezone.now())
    with pytest.raises(Cancelled):
        attempt.tick(1, 9)


def test_work_that_clears_away_a_deleted_project_goes_on(project: Project, clock: Clock) -> None:
    errand = errands.ask(kind="project.delete", project=project, subject=1, actor=None)
    attempt = Attempt.claim(Errand, errand.pk, 1)
    assert attempt is not None
    Project.objects.update(deleted=timezone.now())
    attempt.tick(1, 9)
    assert not attempt.should_stop()


def test_transaction_of_a_lost_row_writes_nothing(attempt: Attempt) -> None:
    Errand.objects.update(attempt=2)
    with pytest.raises(StaleAttempt), attempt.transaction():
        events.record("upload.checked", project=None, actor=None)
    assert not Event.objects.filter(verb="upload.checked").exists()
    assert attempt.should_stop() and not attempt.owns()
    with pytest.raises(StaleAttempt):
        attempt.check()


def test_failed_transaction_keeps_nothing(attempt: Attempt) -> None:
    def work() -> None:
        with attempt.transaction():
            events.record("upload.checked", project=None, actor=None)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert not Event.objects.filter(verb="upload.checked").exists()


def test_rows_that_belong_to_a_report_come_with_it(attempt: Attempt, clock: Clock) -> None:
    attempt.before_write = lambda: events.record("upload.stepped", project=None, actor=None) and None
    attempt.tick(1, 9)
    attempt.tick(2, 9)
    assert Event.objects.filter(verb="upload.stepped").count() == 1
