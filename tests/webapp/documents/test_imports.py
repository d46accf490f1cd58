"""From an uploaded file to a version in use, with all that can happen on the way."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from sptar_engine.artifacts import sha256_file
from sptar_engine.errors import Cancelled, InputError, StageError, StaleAttempt
from tests.webapp.documents.attempts import FakeAttempt, run_errand
from tests.webapp.documents.conftest import Receive
from tests.webapp.documents.samples import zipped
from webapp import uploads as receiving
from webapp.errands import corpus_discard, upload_import
from webapp.models import Corpus, Document, Errand, Event, Judgement, Project, Query, Upload, User
from webapp.places import corpus_folder, upload_folder
from webapp.selectors.documents import judged_but_gone
from webapp.services import corpora, uploads

pytestmark = pytest.mark.django_db

Make = Callable[..., Any]


def rows(count: int, text: str = "The library opens at nine in the morning and closes in the evening.") -> bytes:
    return b"".join(
        json.dumps({"_id": f"d{number}", "title": f"T{number}", "text": f"{text} {number}"}).encode() + b"\n"
        for number in range(count)
    )


def test_a_good_file_is_imported_without_a_question(project: Project, imported: Make) -> None:
    corpus = imported(rows(3))

    project.refresh_from_db()
    assert project.corpus == corpus
    assert (corpus.number, corpus.documents, corpus.ready) == (1, 3, True)
    stored = list(Document.objects.filter(corpus=corpus).order_by("id").values_list("doc_id", "title", "text"))
    assert stored[0] == ("d0", "T0", "The library opens at nine in the morning and closes in the evening. 0")
    file = corpus_folder(corpus) / "corpus.jsonl"
    assert corpus.sha256 == sha256_file(file)
    assert [json.loads(line)["_id"] for line in file.read_text().splitlines()] == ["d0", "d1", "d2"]
    assert corpus.health["documents"] == 3
    assert corpus.health["language"] == "en"
    assert corpus.upload.stage == Upload.Stage.DONE
    asked = Errand.objects.filter(subject=corpus.pk, kind__startswith="corpus.").values_list("kind", flat=True)
    assert {*asked} == {"corpus.index", "corpus.topics"}
    verbs = Event.objects.filter(project=project).order_by("id").values_list("verb", flat=True)
    assert [*verbs] == ["upload.received", "upload.check_started", "upload.checked", "corpus.imported"]


def test_bad_rows_wait_for_a_decision_and_only_good_ones_are_imported(owner: User, checked: Make) -> None:
    upload = checked(rows(2) + b"broken\n")

    assert upload.stage == Upload.Stage.QUESTION
    assert (upload.rows_good, upload.rows_bad) == (2, 1)
    assert upload.counts == {"Not a row that can be read": 1}
    assert not Errand.objects.filter(kind="upload.import").exists()

    uploads.import_good(upload=upload, chunking="none", actor=owner)
    run_errand("upload.import", upload)

    upload.refresh_from_db()
    assert upload.stage == Upload.Stage.DONE
    assert upload.corpora.get().documents == 2


def test_a_file_without_good_rows_is_refused_with_its_first_problem(checked: Make) -> None:
    upload = checked(b'{"text": "x"}\n')

    assert upload.stage == Upload.Stage.REFUSED
    assert upload.error == (
        "None of the 1 rows can be used, so nothing was imported. The first problem, in line 1: _id is missing."
    )


def test_a_refused_file_can_be_read_another_way(owner: User, checked: Make) -> None:
    upload = checked(b"a,b\n1,One text.\n", "x.csv", roles=["text", "id"], header=False)
    assert upload.stage == Upload.Stage.DONE or upload.rows_bad == 0

    upload = checked(b"{}\n{}\n")
    assert upload.stage == Upload.Stage.REFUSED
    uploads.reopen(upload=upload, actor=owner)

    assert upload.stage == Upload.Stage.MAPPING
    assert (upload.rows_bad, upload.problems, upload.error) == (0, [], "")


def test_a_bomb_is_refused_in_one_sentence(settings: Any, receive: Receive, owner: User) -> None:
    settings.UNPACKED_LIMIT_MB = 1
    upload = receive(zipped(a__txt=b"\0" * (2 << 20)), "bomb.zip")
    uploads.start_check(upload=upload, kind=upload.kind, options=upload.options, actor=owner)

    assert run_errand("upload.check", upload) == {"refused": 1}

    upload.refresh_from_db()
    assert upload.stage == Upload.Stage.REFUSED
    assert upload.error.startswith("The file unpacks to more than 1 MB, which is more than this server reads.")
    assert not (upload_folder(upload) / "scratch").exists()


def test_a_second_upload_is_a_second_version_and_the_first_can_come_back(
    project: Project, owner: User, imported: Make
) -> None:
    first, second = imported(rows(3)), imported(rows(5), "new.jsonl")

    project.refresh_from_db()
    assert (second.number, project.corpus) == (2, second)
    assert Document.objects.filter(corpus=first).count() == 3

    corpora.use(corpus=first, actor=owner)

    project.refresh_from_db()
    assert project.corpus == first
    assert Event.objects.filter(verb="corpus.used", facts__version=1).count() == 1


def test_a_version_that_is_not_whole_cannot_be_used(project: Project, owner: User) -> None:
    corpus = Corpus.objects.create(project=project, number=1)

    with pytest.raises(InputError, match="not completely imported yet"):
        corpora.use(corpus=corpus, actor=owner)


def test_long_documents_are_cut_and_pieces_know_their_document(imported: Make) -> None:
    long = json.dumps({"_id": "a", "title": "T", "text": "word " * 450}).encode() + b"\n"

    corpus = imported(long + rows(1), chunking="paragraphs")

    stored = Document.objects.filter(corpus=corpus).order_by("id").values_list("doc_id", "source_id", "title")
    assert [*stored] == [("a#1", "a", "T"), ("a#2", "a", "T"), ("a#3", "a", "T"), ("d0", "", "T0")]
    assert corpus.documents == 4
    written = (corpus_folder(corpus) / "corpus.jsonl").read_text().splitlines()
    assert [json.loads(line)["_id"] for line in written] == ["a#1", "a#2", "a#3", "d0"]


def test_a_version_can_be_cut_afterwards(project: Project, owner: User, imported: Make) -> None:
    long = json.dumps({"_id": "a", "text": "word " * 450}).encode() + b"\n"
    whole = imported(long)

    upload = corpora.cut_again(corpus=whole, chunking="paragraphs", actor=owner)
    run_errand("upload.import", upload)

    project.refresh_from_db()
    assert (project.corpus.number, project.corpus.documents, project.corpus.chunking) == (2, 3, "paragraphs")
    assert Document.objects.filter(corpus=whole).count() == 1
    with pytest.raises(InputError, match="cut that way already"):
        corpora.cut_again(corpus=project.corpus, chunking="paragraphs", actor=owner)


@pytest.mark.parametrize("killed_at", [1, 2, 3, 4, 5])
def test_an_import_that_is_killed_is_redone_without_a_trace(
    project: Project, checked: Make, monkeypatch: pytest.MonkeyPatch, killed_at: int
) -> None:
    monkeypatch.setattr(corpora, "_BATCH_ROWS", 4)
    upload = checked(rows(9))
    attempt = FakeAttempt()
    attempt.killed_at = killed_at

    with pytest.raises(KeyboardInterrupt):
        run_errand("upload.import", upload, attempt)
    project.refresh_from_db()
    assert project.corpus is None
    run_errand("upload.import", upload)

    project.refresh_from_db()
    assert (project.corpus.number, project.corpus.documents) == (1, 9)
    assert Corpus.objects.count() == 1
    assert Document.objects.count() == 9


def test_a_stale_attempt_changes_nothing(project: Project, checked: Make) -> None:
    upload = checked(rows(3))
    attempt = FakeAttempt()
    attempt.stale_at = 3  # the transaction that would put the version into use

    with pytest.raises(StaleAttempt):
        run_errand("upload.import", upload, attempt)

    project.refresh_from_db()
    assert project.corpus is None
    assert not Corpus.objects.filter(ready=True).exists()


def test_an_import_that_is_done_is_not_done_again(imported: Make) -> None:
    corpus = imported(rows(3))

    errand = Errand.objects.get(kind="upload.import")

    assert upload_import.run(errand, FakeAttempt()) == {}
    assert Corpus.objects.get() == corpus


def test_a_cancelled_upload_leaves_its_report_only(
    owner: User, checked: Make, django_capture_on_commit_callbacks: Any
) -> None:
    upload = checked(rows(2) + b"broken\n")

    with django_capture_on_commit_callbacks(execute=True):
        uploads.cancel(upload=upload, actor=owner)

    assert upload.stage == Upload.Stage.CANCELLED
    assert [path.name for path in upload_folder(upload).iterdir()] == ["problems.csv"]
    with pytest.raises(InputError, match="has gone on in the meantime"):
        uploads.import_good(upload=upload, chunking="none", actor=owner)


def test_a_cancel_during_the_import_removes_what_was_made(
    owner: User, checked: Make, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    monkeypatch.setattr(corpora, "_BATCH_ROWS", 4)
    upload = checked(rows(9))
    attempt = FakeAttempt()
    attempt.cancel_at = 5
    tick = attempt.tick

    def cancelling(done: int, total: int, message: str = "", **numbers: Any) -> None:
        if done == 5:
            with django_capture_on_commit_callbacks(execute=True):
                uploads.cancel(upload=Upload.objects.get(pk=upload.pk), actor=owner)
        tick(done, total, message)

    monkeypatch.setattr(attempt, "tick", cancelling)

    with pytest.raises(Cancelled):
        run_errand("upload.import", upload, attempt)

    upload.refresh_from_db()
    assert upload.stage == Upload.Stage.CANCELLED
    assert not Corpus.objects.exists()
    assert not Document.objects.exists()


def killed_import(checked: Make, monkeypatch: pytest.MonkeyPatch) -> Upload:
    """An upload whose import was killed after its first rows."""
    monkeypatch.setattr(corpora, "_BATCH_ROWS", 4)
    upload: Upload = checked(rows(9))
    attempt = FakeAttempt()
    attempt.killed_at = 4
    with pytest.raises(KeyboardInterrupt):
        run_errand("upload.import", upload, attempt)
    assert Document.objects.exists()
    return upload


def test_what_a_killed_import_left_goes_when_it_is_given_up(
    owner: User, checked: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = killed_import(checked, monkeypatch)
    folder = corpus_folder(Corpus.objects.get())

    uploads.cancel(upload=upload, actor=owner)

    assert run_errand("corpus.discard", upload) == {"versions": 1}
    assert not (Corpus.objects.exists() or Document.objects.exists() or folder.exists())
    assert run_errand("corpus.discard", upload) == {"versions": 0}


def test_an_import_that_runs_again_keeps_its_rows(owner: User, checked: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = killed_import(checked, monkeypatch)
    uploads.cancel(upload=upload, actor=owner)
    Upload.objects.filter(pk=upload.pk).update(stage=Upload.Stage.IMPORTING)

    assert run_errand("corpus.discard", upload) == {}
    assert Document.objects.exists()


def test_an_import_that_is_stopping_is_waited_for(owner: User, checked: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = killed_import(checked, monkeypatch)
    until = timezone.now() + timedelta(hours=1)
    Errand.objects.filter(kind="upload.import").update(state="running", lease_until=until)
    uploads.cancel(upload=upload, actor=owner)

    def end(seconds: float) -> None:
        assert Document.objects.exists()
        Errand.objects.filter(kind="upload.import").update(state="cancelled")

    monkeypatch.setattr(corpus_discard.time, "sleep", end)
    assert run_errand("corpus.discard", upload) == {"versions": 1}


def test_two_decisions_make_one_import(owner: User, checked: Make) -> None:
    upload = checked(rows(2) + b"broken\n")
    other = Upload.objects.get(pk=upload.pk)

    uploads.import_good(upload=upload, chunking="none", actor=owner)

    with pytest.raises(InputError, match="has gone on in the meantime"):
        uploads.import_good(upload=other, chunking="none", actor=owner)
    assert Errand.objects.filter(kind="upload.import").count() == 1


def test_a_full_disk_is_said_in_words(checked: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = checked(rows(3))

    def full(*paths: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", full)

    with pytest.raises(StageError, match=r"The server's disk is full\. Nothing is lost; make room and try again\."):
        run_errand("upload.import", upload)


def test_work_does_not_begin_without_room(receive: Receive, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = receive(rows(3))
    uploads.start_check(upload=upload, kind=upload.kind, options=upload.options, actor=owner)
    monkeypatch.setattr("webapp.errands.disk.free_bytes", lambda: 1 << 20)

    with pytest.raises(StageError, match="not enough room on the server's disk"):
        run_errand("upload.check", upload)
    assert receiving.free_bytes() > 0


def test_a_beir_zip_brings_its_examples(project: Project, imported: Make) -> None:
    queries = b'{"_id": "q1", "text": "when does it open"}\n{"_id": "q2", "text": "lost card"}\n'
    head = "query-id\tcorpus-id\tscore\n"

    corpus = imported(
        zipped(
            corpus__jsonl=rows(3), queries__jsonl=queries, qrels___train__tsv=f"{head}q1\td0\t2\n",
            qrels___test__tsv=f"{head}q2\td1\t1\n",
        ),
        "beir.zip",
    )  # fmt: skip

    assert corpus.documents == 3
    assert corpus.upload.error == "", corpus.upload.options
    assert {*Query.objects.filter(project=project).values_list("query_id", "split")} == {
        ("q1", "train"),
        ("q2", "test"),
    }
    assert {*Judgement.objects.values_list("doc_id", "grade")} == {("d0", 2), ("d1", 1)}
    corpus.upload.refresh_from_db()
    assert (corpus.upload.stage, corpus.upload.error) == (Upload.Stage.DONE, "")
    assert corpus.upload.options["found"]["splits"] == ["test", "train"]


def test_examples_that_cannot_be_read_do_not_hold_up_the_documents(imported: Make) -> None:
    corpus = imported(
        zipped(corpus__jsonl=rows(3), queries__jsonl="broken", qrels___test__tsv="not\ta\tqrels file\n"), "beir.zip"
    )

    corpus.upload.refresh_from_db()
    assert corpus.upload.stage == Upload.Stage.DONE
    assert corpus.upload.error


def test_judged_documents_that_a_version_lacks_are_counted(project: Project, owner: User, imported: Make) -> None:
    first = imported(rows(3))
    second = imported(rows(1))
    query = Query.objects.create(project=project, query_id="q", text="x", normalised="n")
    for doc_id in ("d0", "d2"):
        Judgement.objects.create(query=query, doc_id=doc_id, grade=1, judge=owner)

    assert judged_but_gone(project, first) == 0
    assert judged_but_gone(project, second) == 1
