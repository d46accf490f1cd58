"""Many people at the same moment, on a database in a file and on a PostgreSQL server: nobody's verdict is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.webapp.jobs.conftest import (  # noqa: F401 fixtures that these tests use too
    connected,
    database_file,
    empty_database,
    empty_postgres,
    postgres_url,
)
from tests.webapp.review.conftest import BATCH
from webapp.models import Membership, Project, Review, ReviewLease, ReviewStep, Role, User, WeakQuery
from webapp.services import review_leases, reviews

PEOPLE, EACH = 8, 125


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, django_db_blocker: Any) -> Iterator[BaseDatabaseWrapper]:
    """A database that several connections share."""
    if request.param == "sqlite":
        request.getfixturevalue("database_file")
        yield connections["default"]
        return
    with connected(request.getfixturevalue("postgres_url"), django_db_blocker):
        yield connections["default"]


@pytest.fixture
def crowd(database: BaseDatabaseWrapper) -> list[User]:
    """Eight reviewers of one project with a thousand questions."""
    project = Project.objects.create(name="Crowded")
    people = [User.objects.create_user(f"person{number}@example.org") for number in range(PEOPLE)]
    Membership.objects.bulk_create(
        Membership(project=project, user=person, role=Role.REVIEWER) for person in people
    )  # fmt: skip
    WeakQuery.objects.bulk_create(
        WeakQuery(project=project, batch=BATCH, weak_id=f"w{number}", doc_id="d", text=f"question {number}")
        for number in range(PEOPLE * EACH)
    )
    return people


def at_once(database: BaseDatabaseWrapper, act: Callable[[int], Any]) -> list[Any]:
    """What eight threads, each with a connection of its own, return; they begin together."""
    begin = Barrier(PEOPLE)

    def run(number: int) -> Any:
        connections["default"] = own = database.copy()
        own.inc_thread_sharing()
        try:
            begin.wait(30)
            return act(number)
        finally:
            own.close()

    with ThreadPoolExecutor(PEOPLE) as pool:
        return list(pool.map(run, range(PEOPLE)))


def test_a_thousand_verdicts_of_eight_people_are_all_there_once(
    database: BaseDatabaseWrapper, crowd: list[User]
) -> None:
    project = Project.objects.get()

    def review(number: int) -> list[int]:
        seen = []
        while (weak := review_leases.take(project=project, batch=BATCH, actor=crowd[number])) is not None:
            seen.append(weak.pk)
            reviews.give(project=project, actor=crowd[number], weak=weak, verdict="accept" if weak.pk % 2 else "reject")
        return seen

    shown = Counter(pk for seen in at_once(database, review) for pk in seen)
    assert len(shown) == PEOPLE * EACH and set(shown.values()) == {1}, "each card was shown to one person"
    assert Review.objects.count() == ReviewStep.objects.count() == PEOPLE * EACH
    assert not WeakQuery.objects.filter(verdict="").exists()
    assert not WeakQuery.objects.filter(disputed=True).exists()
    assert not ReviewLease.objects.exists()


def test_eight_people_on_the_same_question_each_have_their_say(
    database: BaseDatabaseWrapper, crowd: list[User]
) -> None:
    project, weak = Project.objects.get(), WeakQuery.objects.earliest("pk")

    def review(number: int) -> None:
        verdict = "accept" if number % 2 else "reject"
        reviews.give(project=project, actor=crowd[number], weak=weak, verdict=verdict)

    at_once(database, review)
    weak.refresh_from_db()
    first = Review.objects.earliest("pk")
    assert Review.objects.filter(weak=weak).count() == PEOPLE
    assert (weak.verdict, weak.reviewer_id, weak.disputed) == (first.verdict, first.reviewer_id, True)


def test_eight_clicks_of_one_person_are_one_verdict(database: BaseDatabaseWrapper, crowd: list[User]) -> None:
    project, weak = Project.objects.get(), WeakQuery.objects.earliest("pk")
    at_once(database, lambda _: reviews.give(project=project, actor=crowd[0], weak=weak, verdict="accept"))
    assert (Review.objects.count(), ReviewStep.objects.count()) == (1, 1)
