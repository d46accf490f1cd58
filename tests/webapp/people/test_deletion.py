"""Deleting a project: at once for people, in batches for the database, with its files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from sptar_engine.errors import SptarError, StaleAttempt
from tests.webapp.rows import furnish
from webapp import places
from webapp.errands import KINDS, project_delete
from webapp.jobs.attempt import Attempt
from webapp.models import (
    Corpus,
    Document,
    Errand,
    Event,
    Project,
    StageRun,
    State,
    User,
    WeakQuery,
)  # fmt: skip
from webapp.search import client as search
from webapp.services import deletion, projects


@pytest.fixture(autouse=True)
def dropped(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The corpora that the search service was asked to forget."""
    calls: list[int] = []
    monkeypatch.setattr(search, "drop", lambda corpus: calls.append(corpus.pk))
    return calls


def counts() -> dict[str, int]:
    return {model.__name__: model._base_manager.count() for model in apps.get_app_config("webapp").get_models()}


@pytest.fixture
def errand(project: Project, owner: User) -> Errand:
    """The project's removal, as it was asked for."""
    furnish(project, owner)
    deletion.delete(project=project, actor=owner)
    return Errand.objects.get(kind="project.delete")


def attempt_at(errand: Errand) -> Attempt:
    attempt = Attempt.claim(Errand, errand.pk, errand.attempt)
    assert attempt is not None
    return attempt


def test_the_kind_is_registered() -> None:
    assert KINDS[deletion.KIND] == project_delete.__name__


def test_a_deleted_project_is_gone_at_once(client: Client, project: Project, owner: User) -> None:
    answer = client.post(f"/p/{project.slug}/delete/", {"name": project.name})
    assert answer["Location"] == "/"
    home = client.get("/")
    assert "is deleted. Its files are being removed." in home.content.decode()
    assert home.context["home"].cards == []
    assert client.get(f"/p/{project.slug}/").status_code == 404
    errand = Errand.objects.get()
    assert (errand.kind, errand.project, errand.subject) == ("project.delete", None, project.pk)
    event = Event.objects.get(verb="project.deleted")
    assert (event.project, event.actor, event.facts["name"]) == (None, owner, project.name)


@pytest.mark.parametrize("name", ["", "library rules", "Library", "Library rules x"])
def test_another_name_deletes_nothing(client: Client, project: Project, name: str) -> None:
    answer = client.post(f"/p/{project.slug}/delete/", {"name": name})
    assert answer.status_code == 200
    assert answer.context["delete_form"].errors["name"]
    project.refresh_from_db()
    assert project.deleted is None


def test_a_second_deletion_asks_for_nothing_more(project: Project, owner: User) -> None:
    deletion.delete(project=project, actor=owner)
    deletion.delete(project=project, actor=owner)
    assert Errand.objects.count() == Event.objects.filter(verb="project.deleted").count() == 1


def test_waiting_work_is_cancelled_and_running_work_asked_to_stop(project: Project, owner: User) -> None:
    furnish(project, owner)
    rows = list(StageRun.objects.order_by("pk"))
    StageRun.objects.filter(pk=rows[0].pk).update(state=State.RUNNING)
    StageRun.objects.filter(pk=rows[1].pk).update(state=State.QUEUED)
    deletion.delete(project=project, actor=owner)
    running, waiting = StageRun.objects.order_by("pk")
    assert (running.state, waiting.state) == (State.RUNNING, State.CANCELLED)
    assert running.cancel_requested is not None


def test_the_errand_removes_every_row_and_file_of_the_project_and_nothing_else(owner: User, dropped: list[int]) -> None:
    stays = projects.create(name="Stays", owner=owner)
    furnish(stays, owner)
    before = counts()
    goes = projects.create(name="Goes", owner=owner)
    furnish(goes, owner)
    corpus = Corpus.objects.get(project=goes)
    deletion.delete(project=goes, actor=owner)
    errand = Errand.objects.get(kind="project.delete")
    assert project_delete.run(errand, attempt_at(errand))["rows"] > 15
    assert counts() == before | {"Errand": before["Errand"] + 1, "Event": before["Event"] + 1}
    assert dropped == [corpus.pk]
    folder = places.project_folder(stays)
    assert [path.name for path in folder.rglob("original")] == ["original"]
    assert [path.name for path in folder.parent.iterdir()] == [stays.slug]


def test_killed_between_any_two_batches_it_ends_the_same(
    errand: Errand, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project_delete, "_BATCH", 1)
    attempt = attempt_at(errand)
    killed = _kill_after(monkeypatch, attempt)
    for batches in range(100):
        try:
            with killed(batches % 3):
                project_delete.run(errand, attempt)
        except KeyboardInterrupt:
            continue
        break
    assert not Project.objects.filter(pk=project.pk).exists()
    assert not Document.objects.exists()
    assert not places.project_folder(project).exists()
    assert batches > 5


def _kill_after(monkeypatch: pytest.MonkeyPatch, attempt: Attempt) -> Callable[[int], Any]:
    tick = attempt.tick

    @contextmanager
    def killed(batches: int) -> Iterator[None]:
        left = [batches + 1]

        def count(*args: Any, **numbers: Any) -> None:
            tick(*args, **numbers)
            left[0] -= 1
            if not left[0]:
                raise KeyboardInterrupt

        monkeypatch.setattr(attempt, "tick", count)
        yield

    return killed


def test_run_again_after_the_rows_are_gone_it_removes_the_files(errand: Errand, project: Project) -> None:
    attempt = attempt_at(errand)
    project_delete.run(errand, attempt)
    leftover = places.project_folder(project).with_name(f"{project.slug}.deleted") / "store"
    for folder in (leftover, places.project_folder(project) / "store"):
        folder.mkdir(parents=True)
    assert project_delete.run(errand, attempt) == {"rows": 0}
    assert not list(leftover.parent.parent.iterdir())


def test_a_late_commit_of_running_work_raises_nothing_from_the_dead(errand: Errand, project: Project) -> None:
    stage = StageRun.objects.filter(experiment__project=project).order_by("pk")[0]
    StageRun.objects.filter(pk=stage.pk).update(state=State.QUEUED, attempt=4)
    late = Attempt.claim(StageRun, stage.pk, 4)
    assert late is not None
    StageRun.objects.filter(pk=stage.pk).update(lease_until=timezone.now() - timezone.timedelta(seconds=1))
    project_delete.run(errand, attempt_at(errand))
    with pytest.raises(StaleAttempt), late.transaction():
        WeakQuery.objects.create(project_id=project.pk, batch="b", weak_id="late", doc_id="1", text="late")
    assert not WeakQuery.objects.exists()


def test_it_waits_until_running_work_has_stopped(
    errand: Errand, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = StageRun.objects.filter(experiment__project=project).order_by("pk")[0]
    StageRun.objects.filter(pk=stage.pk).update(state=State.QUEUED, attempt=1)
    assert Attempt.claim(StageRun, stage.pk, 1) is not None
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            assert StageRun.objects.filter(pk=stage.pk).exists()
            StageRun.objects.filter(pk=stage.pk).update(state=State.CANCELLED)

    monkeypatch.setattr(project_delete.time, "sleep", nap)
    project_delete.run(errand, attempt_at(errand))
    assert naps[:3] == [1.0, 1.0, 1.0]
    assert not Project.objects.filter(pk=project.pk).exists()


def test_a_project_that_nobody_deleted_is_left_alone(project: Project, owner: User) -> None:
    furnish(project, owner)
    errand = Errand.objects.create(
        kind="project.delete", subject=project.pk, state=State.QUEUED, attempt=1, arguments={"slug": project.slug}
    )
    before = counts()
    with pytest.raises(SptarError, match="not marked as deleted"):
        project_delete.run(errand, attempt_at(errand))
    assert counts() == before
    assert places.project_folder(project).exists()


def test_no_statement_takes_more_rows_than_a_batch(errand: Errand, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = Corpus.objects.get()
    Document.objects.bulk_create(Document(corpus=corpus, doc_id=f"x{n}", text="text") for n in range(97))
    monkeypatch.setattr(project_delete, "_BATCH", 10)
    with CaptureQueriesContext(connection) as queries:
        project_delete.run(errand, attempt_at(errand))
    deletions = [query["sql"] for query in queries if query["sql"].startswith('DELETE FROM "webapp_document" WHERE')]
    assert len([sql for sql in deletions if '"id" <= ' in sql]) == 10
    assert not Document.objects.exists()


def test_the_search_service_may_be_down(errand: Errand, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(corpus: Corpus) -> None:
        raise search.SearchUnavailable("It is down.", "down")

    monkeypatch.setattr(search, "drop", down)
    project_delete.run(errand, attempt_at(errand))
    assert not Project.objects.filter(pk=project.pk).exists()


def test_no_link_in_the_folder_leads_the_removal_out_of_it(errand: Errand, project: Project, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    (places.project_folder(project) / "link").symlink_to(outside)
    project_delete.run(errand, attempt_at(errand))
    assert (outside / "kept").exists()
