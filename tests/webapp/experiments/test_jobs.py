from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from webapp.errands import KINDS
from webapp.models import Errand, Experiment, Membership, Project, StageRun, State, User
from webapp.selectors.jobs import ERRANDS, count_open, jobs_of

HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def busy(make_experiment: Callable[..., Experiment]) -> Experiment:
    return make_experiment({"prepare": "done", "tune": "running", "evaluate.bm25": "queued"}, state=State.RUNNING)


def test_jobs_are_grouped_by_what_they_need(busy: Experiment, ready: Project, owner: User) -> None:
    Errand.objects.create(kind="corpus.index", project=ready, subject=1, state=State.QUEUED)
    found = jobs_of(owner)
    assert [job.name for job in found.running] == ["Tune the question writer: SPTAR"]
    assert {job.name for job in found.waiting} == {"Measure: keyword search", "Make documents searchable"}
    assert found.troubled == []


def test_every_kind_of_errand_has_a_name() -> None:
    assert ERRANDS.keys() == KINDS.keys()


def test_only_ones_own_projects_count(busy: Experiment, stranger: User, owner: User) -> None:
    assert count_open(owner) == 2
    assert count_open(stranger) == 0
    assert jobs_of(stranger).running == []


def test_the_tray_takes_one_query(
    busy: Experiment, owner: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(1):
        count_open(owner)


def test_the_page_takes_few_queries(
    busy: Experiment, client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(5):
        client.get(reverse("jobs"))


def test_the_page_is_quiet_while_nothing_changes(busy: Experiment, client: Client) -> None:
    page = client.get(reverse("jobs")).content.decode()
    seen = page.partition("?seen=")[2].partition('"')[0]
    assert client.get(reverse("jobs"), {"seen": seen}, **HTMX).status_code == 204
    StageRun.objects.filter(step_id="tune").update(done=1, total=10)
    changed = client.get(reverse("jobs"), {"seen": seen}, **HTMX)
    assert changed.content.decode().strip().startswith('<div id="jobs"')


def test_a_step_can_be_stopped_and_tried_again(busy: Experiment, ready: Project, client: Client) -> None:
    stage = busy.stages.get(step_id="evaluate.bm25")
    address = reverse("stage_cancel", args=[ready.slug, stage.pk])
    assert "Stop “Measure: keyword search, Experiment 1”?" in client.get(address).content.decode()
    assert client.post(address).status_code == 302
    stage.refresh_from_db()
    assert stage.state == State.CANCELLED
    again = reverse("stage_retry", args=[ready.slug, stage.pk])
    assert "Try “Measure: keyword search, Experiment 1” again?" in client.get(again).content.decode()
    client.post(again)
    stage.refresh_from_db()
    assert stage.state == State.QUEUED


def test_an_errand_can_be_stopped_and_tried_again(ready: Project, client: Client) -> None:
    errand = Errand.objects.create(kind="corpus.index", project=ready, subject=1, state=State.QUEUED)
    client.post(reverse("errand_cancel", args=[ready.slug, errand.pk]))
    errand.refresh_from_db()
    assert errand.state == State.CANCELLED
    client.post(reverse("errand_retry", args=[ready.slug, errand.pk]))
    assert ready.errands.filter(kind="corpus.index", state=State.QUEUED).count() == 1


@pytest.mark.parametrize("name", ["stage_cancel", "stage_retry", "errand_cancel", "errand_retry"])
def test_another_projects_job_is_not_found(
    busy: Experiment, stranger: User, login: Callable[[User], Client], name: str
) -> None:
    mine = Project.objects.create(name="Mine")
    Membership.objects.create(project=mine, user=stranger, role="owner")
    errand = Errand.objects.create(kind="corpus.index", project=busy.project, subject=1, state=State.FAILED)
    pk = busy.stages.get(step_id="tune").pk if name.startswith("stage") else errand.pk
    assert login(stranger).post(reverse(name, args=[mine.slug, pk])).status_code == 404
    assert login(stranger).post(reverse(name, args=[busy.project.slug, pk])).status_code == 404


def test_viewers_see_jobs_without_buttons(busy: Experiment, member: Callable[[str], User]) -> None:
    job = jobs_of(member("viewer")).running[0]
    assert (job.cancel, job.retry) == ("", "")


def test_a_person_without_jobs_is_told_what_appears_here(stranger: User, login: Callable[[User], Client]) -> None:
    assert "No jobs." in login(stranger).get(reverse("jobs")).content.decode()
