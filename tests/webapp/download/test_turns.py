"""Long encodings let other errands in, but never without having got further."""

from __future__ import annotations

from pathlib import Path

import pytest

from sptar_engine.errors import StaleAttempt
from tests.webapp.download.conftest import Make
from webapp.errands import archive_turns
from webapp.errands.archive_turns import Turns
from webapp.jobs.attempt import Attempt
from webapp.models import Errand, Experiment, State
from webapp.operations.backup import files_of
from webapp.places import archive_folder
from webapp.services import archives, errands


@pytest.fixture
def attempt(experiment: Experiment) -> Attempt:
    archive, _ = archives.ask(experiment=experiment, kind="embeddings", actor=None)
    errand = Errand.objects.get(kind="archive.make", subject=archive.pk)
    claimed = Attempt.claim(Errand, errand.pk, errand.attempt)
    assert claimed is not None
    return claimed


@pytest.fixture
def somebody_waits(experiment: Experiment) -> None:
    errands.ask(kind="corpus.index", project=experiment.project, subject=experiment.corpus_id, actor=None)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_turns, "_PATIENT", 0.0)


def test_it_goes_back_into_the_queue_when_somebody_waits_and_it_has_got_further(
    attempt: Attempt, somebody_waits: None, impatient: None
) -> None:
    turns = Turns(attempt)
    turns.tick(5000, 9000, "Encoding the documents")
    turns.tick(7047, 9000, "Encoding the documents")
    with pytest.raises(StaleAttempt, match="made room"):
        turns.tick(7048, 9000, "Encoding the documents")
    row = Errand.objects.get(pk=attempt.row.pk)
    assert (row.state, row.attempt, row.done) == (State.QUEUED, attempt.row.attempt + 1, 7048)


def test_it_goes_on_while_nobody_waits(attempt: Attempt, impatient: None) -> None:
    turns = Turns(attempt)
    for done in (0, 5000, 9000):
        turns.tick(done, 9000, "Encoding the documents")
    assert Errand.objects.get(pk=attempt.row.pk).state == State.RUNNING


def test_tables_of_unknown_length_are_written_in_one_go(
    attempt: Attempt, somebody_waits: None, impatient: None
) -> None:
    turns = Turns(attempt)
    for done in (0, 5000, 9000):
        turns.tick(done, 0, "questions written")
    assert Errand.objects.get(pk=attempt.row.pk).state == State.RUNNING


def test_half_the_time_limit_begins_a_new_attempt(
    attempt: Attempt, monkeypatch: pytest.MonkeyPatch, settings: object
) -> None:
    settings.ERRAND_TIMEOUT = 0  # type: ignore[attr-defined]
    turns = Turns(attempt)
    turns.tick(0, 9000, "Encoding the documents")
    with pytest.raises(StaleAttempt):
        turns.tick(4000, 9000, "Encoding the documents")


def test_a_backup_leaves_downloads_out(data_dir: Path, make: Make) -> None:
    archive = make("runs")
    kept = list(files_of(data_dir, with_results=True))
    assert kept
    assert not [path for path in kept if archive_folder(archive) in path.parents]
