from __future__ import annotations

import pytest
from django.db.models import QuerySet
from pytest_django import DjangoAssertNumQueries

from webapp.models import Project
from webapp.prepared import Prepared, instance

pytestmark = pytest.mark.django_db


def _named(name: str, *ids: int) -> QuerySet[Project]:
    rows = Project.objects.filter(name=name, pk__in=ids).order_by("pk")
    return rows.values("id", "slug", "name", "topics", "created", "deleted")


@pytest.fixture
def projects() -> list[Project]:
    return [Project.objects.create(name=name, topics={"a": [1]}) for name in ("one", "two", "one")]


def test_rows_are_what_the_query_gives(
    projects: list[Project], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    prepared, ids = Prepared(_named), [project.pk for project in projects]
    for name, some in (("one", ids), ("two", ids), ("one", ids[:1]), ("one", ids[1:2]), ("100 % 's", ids)):
        expected = list(_named(name, *some))
        with django_assert_num_queries(1):
            assert prepared.rows(name, *some) == expected


def test_an_object_has_the_columns_of_its_row(projects: list[Project]) -> None:
    (row,) = Prepared(_named).rows("two", projects[1].pk)
    found = instance(Project, row)
    assert (found, found.name, found.created) == (projects[1], "two", projects[1].created)
    assert found.get_deferred_fields() >= {"description", "labels_version"}


def test_a_value_that_becomes_another_is_refused() -> None:
    with pytest.raises(ValueError, match="only = and in"):
        Prepared(lambda word: Project.objects.filter(name__icontains=word).values("pk")).rows("one")
