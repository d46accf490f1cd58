"""An experiment with results, and archives made of it without a worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.webapp.download.results import add_questions, finished_experiment
from webapp.errands import archive_make
from webapp.jobs.attempt import Attempt
from webapp.models import Archive, Errand, Experiment, Project, State, User
from webapp.services import archives

Make = Callable[..., Archive]


@pytest.fixture(autouse=True)
def report(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report that says no more than which experiment it is about."""
    monkeypatch.setattr(
        "webapp.errands.archive_files.report_html", lambda experiment: f"<!doctype html><title>{experiment}</title>"
    )


@pytest.fixture
def experiment(project: Project, owner: User) -> Experiment:
    """Every step is done, and two questions are generated."""
    made = finished_experiment(project, owner)
    add_questions(made, ["how long may a book be kept", "who may borrow"])
    return made


def do_errand(archive: Archive) -> dict[str, Any]:
    """Do the open errand of an archive as a worker's child does."""
    errand = Errand.objects.filter(kind="archive.make", subject=archive.pk).latest("pk")
    attempt = Attempt.claim(Errand, errand.pk, errand.attempt)
    assert attempt is not None
    found = archive_make.run(attempt.row, attempt)
    Errand.objects.filter(pk=errand.pk).update(state=State.DONE)
    return found


@pytest.fixture
def make(experiment: Experiment, owner: User) -> Make:
    """Return `make(kind, *boxes, chosen=…)`: an archive that is made."""

    def ask(kind: str, *boxes: str, chosen: str = "", of: Experiment | None = None) -> Archive:
        archive, is_new = archives.ask(
            experiment=of or experiment, kind=kind, boxes=boxes, chosen=chosen, actor=owner
        )  # fmt: skip
        if is_new:
            do_errand(archive)
        archive.refresh_from_db()
        return archive

    return ask
