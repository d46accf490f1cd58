"""What the archives hold, when they are made anew, and what is left when making one breaks off."""

from __future__ import annotations

import errno
import json
import re
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from sptar_engine.artifacts import sha256_file
from sptar_engine.errors import Cancelled, StageError, StaleAttempt
from tests.webapp.download.conftest import Make, do_errand
from tests.webapp.download.results import ADAPTER, ARMS, DEMONSTRATION, MODEL, NOTE, TEST_QUESTION, finished_experiment
from webapp import places
from webapp.archive_kinds import KINDS
from webapp.errands import archive_make, disk
from webapp.jobs.attempt import Attempt
from webapp.models import Archive, Errand, Event, Experiment, Project, Rescoring, State, User, WeakQuery
from webapp.selectors import archives as found
from webapp.selectors import measured
from webapp.services import archives, reviews

ZIPS = [("retriever", ""), ("soft_prompt", ""), ("questions", "beir"), ("runs", "")]


def content(archive: Archive) -> Path:
    path = found.file_of(archive)
    assert path is not None
    return path


def members(archive: Archive) -> dict[str, bytes]:
    with zipfile.ZipFile(content(archive)) as opened:
        assert opened.testzip() is None
        return {name: opened.read(name) for name in opened.namelist()}


def boxes(kind: str) -> list[str]:
    return [box.key for box in KINDS[kind].boxes if box.ticked]


def test_the_standard_card_gives_the_very_zip_that_was_checked(experiment: Experiment, make: Make) -> None:
    archive = make("retriever", *boxes("retriever"))
    packed = places.store_folder(experiment.project) / "stages" / "package.sptar-0123456789abcdef" / "retriever.zip"
    assert archive.sha256 == sha256_file(packed) == sha256_file(content(archive))
    assert archive.bytes == packed.stat().st_size


def test_another_card_changes_the_card_and_its_checksum_alone(make: Make) -> None:
    files = members(make("retriever", "measures"))
    assert {name: files[f"retriever/{name}"] for name in MODEL} == MODEL
    card = files["retriever/README.md"].decode()
    assert "## Measured" in card and "## Limits" in card and "## Use" in card and "## Made from" in card
    assert "## Settings" not in card and "## Data and training" not in card
    said = dict(line.split("  ")[::-1] for line in files["retriever/SHA256SUMS"].decode().splitlines())
    assert said["README.md"] == sha256(files["retriever/README.md"]).hexdigest()
    assert set(said) == {name.removeprefix("retriever/") for name in files} - {"SHA256SUMS"}


def test_weights_that_were_not_checked_are_not_packed(experiment: Experiment, make: Make) -> None:
    model = places.store_folder(experiment.project) / "stages" / "train.sptar-0123456789abcdef" / "model"
    (model / "model.safetensors").write_bytes(b"other weights")
    with pytest.raises(StageError, match="not the one that was checked"):
        make("retriever", "measures")


@pytest.mark.parametrize("name", ["pytorch_model.bin", "weights.pt", "code.py", "data.pkl"])
def test_a_file_that_could_carry_code_is_refused(experiment: Experiment, make: Make, name: str) -> None:
    model = places.store_folder(experiment.project) / "stages" / "train.sptar-0123456789abcdef" / "model"
    (model / name).write_bytes(b"x")
    with pytest.raises(StageError, match="is not packaged"):
        make("retriever", "measures")


def test_a_link_is_refused(experiment: Experiment, make: Make) -> None:
    runs = places.store_folder(experiment.project) / "stages" / "evaluate.bm25-0123456789abcdef"
    (runs / "run.trec").unlink()
    (runs / "run.trec").symlink_to("/etc/passwd")
    with pytest.raises(StageError, match=re.escape("run.trec")):
        make("runs")


@pytest.mark.parametrize(("kind", "chosen"), ZIPS)
def test_zips_are_the_same_each_time_and_name_only_places_inside(make: Make, kind: str, chosen: str) -> None:
    first = make(kind, *boxes(kind), chosen=chosen)
    sha = first.sha256
    Archive.objects.all().delete()
    second = make(kind, *boxes(kind), chosen=chosen)
    assert second.sha256 == sha == sha256_file(content(second))
    for name in members(second):
        assert name.startswith(f"{kind}/") and ".." not in name and "\\" not in name
        assert not name.endswith((".bin", ".pt", ".pkl", ".pickle", ".pth"))


@pytest.mark.parametrize("kind", ["retriever", "soft_prompt", "runs"])
def test_no_file_holds_a_path_of_this_machine_or_words_of_people(
    data_dir: Path, make: Make, kind: str, experiment: Experiment
) -> None:
    private = [str(data_dir), TEST_QUESTION, DEMONSTRATION, "Our <b>first</b>", experiment.project.name, "Winter"]
    for name, text in members(make(kind, *boxes(kind))).items():
        for words in private:
            assert words.encode() not in text, (name, words)


def test_the_soft_prompt_is_a_peft_folder_with_how_to_use_it(make: Make) -> None:
    files = members(make("soft_prompt"))
    assert {name: files[f"soft_prompt/{name}"] for name in ADAPTER} == ADAPTER
    card = files["soft_prompt/README.md"].decode()
    assert '"peft==0.21.2"' in card and "smollm2-135m-instruct" in card and "49.9 to 28.3" in card
    assert "soft_prompt/prompt.json" not in files


def test_demonstrations_go_with_it_only_when_ticked(make: Make) -> None:
    files = members(make("soft_prompt", "demonstrations"))
    assert DEMONSTRATION in files["soft_prompt/prompt.json"].decode()
    assert "texts of documents and queries" in files["soft_prompt/README.md"].decode()


def test_runs_come_with_the_judgements(make: Make) -> None:
    files = members(make("runs"))
    assert set(files) == {
        *(f"runs/{arm}.trec" for arm in ARMS),
        *(f"runs/{arm}.metrics.json" for arm in ARMS),
        "runs/qrels/test.tsv", "runs/README.md", "runs/SHA256SUMS",
    }  # fmt: skip


def test_runs_come_with_the_newest_judgements_too(experiment: Experiment, make: Make) -> None:
    before = make("runs")
    Rescoring.objects.create(experiment=experiment, number=1, qrels="r1", labels_version=1, comparison={})
    labels = places.qrels_folder(experiment.project, "r1") / "qrels"
    labels.mkdir(parents=True)
    (labels / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td2\t3\n", encoding="utf-8")
    scores = measured.scores_file(experiment, "r1")
    scores.parent.mkdir(parents=True, exist_ok=True)
    scores.write_text('{"bm25": {}}', encoding="utf-8")
    after = make("runs")
    assert after != before
    files = members(after)
    assert b"d2\t3" in files["runs/qrels/test-1.tsv"]
    assert files["runs/metrics-1.json"] == b'{"bm25": {}}'
    assert b"test-1.tsv" in files["runs/README.md"]
    assert b"d1\t1" in files["runs/qrels/test.tsv"]


def test_the_report_is_one_page(make: Make) -> None:
    archive = make("report")
    assert content(archive).read_text() == "<!doctype html><title>Winter</title>"
    assert archive.name.endswith(".html")


def test_everything_holds_what_is_ticked(make: Make) -> None:
    files = members(make("everything", *boxes("everything")))
    tops = {name.split("/")[1] for name in files}
    assert tops == {
        "retriever", "soft-prompt", "questions.csv", "questions.jsonl", "runs", "report.html", "README.md",
        "SHA256SUMS",
    }  # fmt: skip
    card = files["everything/README.md"].decode()
    assert "questions.csv" in card and "embeddings" not in card


def test_everything_leaves_out_what_there_is_not(project: Project, owner: User, make: Make) -> None:
    early = finished_experiment(project, owner, number=7, packed=False)
    files = members(make("everything", *boxes("everything"), of=early))
    assert {name.split("/")[1] for name in files} == {"runs", "report.html", "README.md", "SHA256SUMS"}


def test_document_vectors_are_made_by_the_packed_model(
    experiment: Experiment, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def stand_in(sources: Any, folder: Path, target: Path, tick: Any) -> None:
        asked.append(sources.packed.model)
        target.write_bytes(b"npz")

    monkeypatch.setattr("webapp.errands.archive_files.write_vectors", stand_in)
    archive = make("embeddings")
    assert content(archive).read_bytes() == b"npz"
    assert archive.name == "Library rules 1 document vectors.npz"
    assert [path.parent.name for path in asked] == ["train.sptar-0123456789abcdef"]


def test_what_has_not_changed_is_not_made_again(experiment: Experiment, owner: User, make: Make) -> None:
    first = make("questions")
    again, is_new = archives.ask(experiment=experiment, kind="questions", actor=owner)
    assert (again.pk, is_new) == (first.pk, False)
    assert Errand.objects.filter(kind="archive.make").count() == 1


def reject(weak_id: str) -> None:
    weak = WeakQuery.objects.get(weak_id=weak_id)
    reviews.give(project=weak.project, actor=User.objects.get(name="Olga Owner"), weak=weak, verdict="reject")


def test_a_verdict_makes_another_archive_and_the_old_one_goes(make: Make) -> None:
    first = make("questions")
    reject("w0")
    second = make("questions")
    assert second.pk != first.pk
    assert second.sha256 != first.sha256
    assert not Archive.objects.filter(pk=first.pk).exists()
    assert not places.archive_folder(first).exists()


def test_archives_of_other_kinds_and_formats_stay(make: Make) -> None:
    kept = [make("runs"), make("questions", chosen="jsonl"), make("soft_prompt"), make("soft_prompt", "demonstrations")]
    reject("w0")
    make("questions", chosen="csv")
    assert Archive.objects.filter(pk__in=[one.pk for one in kept]).count() == 4


def test_old_archives_go_when_a_new_one_is_made(make: Make) -> None:
    old = make("runs")
    Archive.objects.filter(pk=old.pk).update(created=timezone.now() - found.KEPT * 2)
    make("questions")
    assert not Archive.objects.filter(pk=old.pk).exists()
    assert not places.archive_folder(old).exists()


def test_a_file_that_is_gone_is_made_again_under_the_same_row(make: Make) -> None:
    first = make("runs")
    content(first).unlink()
    assert found.shown(first).state == "gone"
    second = make("runs")
    assert second.pk == first.pk
    assert found.shown(second).state == "ready"


def test_two_who_ask_at_once_wait_for_one_archive(experiment: Experiment, owner: User) -> None:
    asked = [archives.ask(experiment=experiment, kind="runs", actor=owner) for _ in range(2)]
    assert asked[0] == asked[1]
    assert Errand.objects.filter(kind="archive.make").count() == 1
    assert Event.objects.filter(verb="archive.asked").count() == 1


def test_what_changes_while_it_is_made_is_not_given_to_the_next_one(
    experiment: Experiment, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_together = archive_make._put_together

    def change(*arguments: Any) -> Path:
        reject("w0")
        return put_together(*arguments)

    monkeypatch.setattr(archive_make, "_put_together", change)
    first = make("questions")
    assert found.shown(first).state == "ready"
    monkeypatch.undo()
    _, is_new = archives.ask(experiment=experiment, kind="questions", actor=None)
    assert is_new
    assert first.fingerprint.startswith("once ")


@pytest.mark.parametrize("error", [KeyboardInterrupt, Cancelled("Stopped."), StageError("Broken.")])
def test_breaking_off_leaves_no_file_under_its_name(
    experiment: Experiment, owner: User, monkeypatch: pytest.MonkeyPatch, error: Any
) -> None:
    def break_off(path: Path, *arguments: Any) -> None:
        path.write_bytes(b"half a zip")
        raise error

    monkeypatch.setattr(archive_make, "write_archive", break_off)
    archive, _ = archives.ask(experiment=experiment, kind="runs", actor=owner)
    with pytest.raises((KeyboardInterrupt, Cancelled, StageError)):
        do_errand(archive)
    left = [path for path in places.archive_folder(archive).rglob("*") if path.is_file()]
    assert left == []
    archive.refresh_from_db()
    assert (archive.ready_at, found.file_of(archive)) == (None, None)


def test_an_attempt_that_was_killed_is_followed_by_one_that_takes_its_folder(
    experiment: Experiment, owner: User
) -> None:
    archive, _ = archives.ask(experiment=experiment, kind="runs", actor=owner)
    place = places.archive_folder(archive)
    (place / ".work-7" / "vectors").mkdir(parents=True)
    (place / ".work-7" / "vectors" / "part-000000.npy").write_bytes(b"part")
    (place / ".work-7" / "made").write_bytes(b"half a zip")
    folder = archive_make.take_folder(place, 8)
    assert sorted(path.name for path in folder.rglob("*") if path.is_file()) == ["part-000000.npy"]
    assert not (place / ".work-7").exists()
    do_errand(archive)
    assert [path.name for path in place.iterdir()] == ["content"]


def test_a_stale_attempt_publishes_nothing(experiment: Experiment, owner: User) -> None:
    archive, _ = archives.ask(experiment=experiment, kind="runs", actor=owner)
    errand = Errand.objects.get(subject=archive.pk, kind="archive.make")
    attempt = Attempt.claim(Errand, errand.pk, errand.attempt)
    assert attempt is not None
    Errand.objects.filter(pk=errand.pk).update(attempt=9)
    with pytest.raises(StaleAttempt):
        archive_make.run(attempt.row, attempt)
    archive.refresh_from_db()
    assert archive.ready_at is None


def test_a_full_disk_is_told_in_a_sentence(
    experiment: Experiment, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    archive, _ = archives.ask(experiment=experiment, kind="runs", actor=owner)
    monkeypatch.setattr(archive_make, "write_archive", full)
    with pytest.raises(StageError, match="disk is full"):
        do_errand(archive)


def test_too_little_room_is_known_before_anything_is_written(
    experiment: Experiment, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, _ = archives.ask(experiment=experiment, kind="runs", actor=owner)
    monkeypatch.setattr(disk, "free_bytes", lambda: 1000)
    with pytest.raises(StageError, match="not enough room"):
        do_errand(archive)


def test_one_that_is_removed_while_it_is_made_leaves_nothing(
    experiment: Experiment, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, _ = archives.ask(experiment=experiment, kind="runs", actor=owner)
    put_together = archive_make._put_together

    def remove(*arguments: Any) -> Path:
        made = put_together(*arguments)
        Archive.objects.filter(pk=archive.pk).delete()
        return made

    monkeypatch.setattr(archive_make, "_put_together", remove)
    with pytest.raises(Cancelled):
        do_errand(archive)
    assert not (places.archive_folder(archive) / found.CONTENT).exists()


def test_stopping_and_trying_again(experiment: Experiment, owner: User) -> None:
    archive, _ = archives.ask(experiment=experiment, kind="runs", actor=owner)
    archives.stop(archive=archive, actor=owner)
    assert found.shown(archive).state == "stopped"
    assert archives.again(archive=archive, actor=owner)
    assert not archives.again(archive=archive, actor=owner)
    do_errand(archive)
    archive.refresh_from_db()
    assert found.shown(archive).state == "ready"
    assert not archives.again(archive=archive, actor=owner)


def test_a_failure_is_shown_with_its_sentence(experiment: Experiment, owner: User) -> None:
    archive, _ = archives.ask(experiment=experiment, kind="runs", actor=owner)
    Errand.objects.update(state=State.FAILED, error="The server's disk is full.")
    shown = found.shown(archive)
    assert shown.state == "failed" and shown.errand and shown.errand.error == "The server's disk is full."


@pytest.mark.parametrize(
    ("kind", "ticked", "chosen"),
    [("weights", [], ""), ("runs", ["examples"], ""), ("questions", [], "xlsx"), ("everything", [], "")],
)
def test_what_there_is_not_is_refused(
    experiment: Experiment, owner: User, kind: str, ticked: list[str], chosen: str
) -> None:
    with pytest.raises(ValidationError):
        archives.ask(experiment=experiment, kind=kind, boxes=ticked, chosen=chosen, actor=owner)
    assert not Archive.objects.exists()


@pytest.mark.parametrize("kind", ["retriever", "soft_prompt", "questions", "embeddings"])
def test_an_experiment_without_results_says_what_is_missing(project: Project, owner: User, kind: str) -> None:
    early = finished_experiment(project, owner, packed=False)
    with pytest.raises(archives.NotThereError, match="This experiment has"):
        archives.ask(experiment=early, kind=kind, actor=owner)


def test_a_project_keeps_so_many_and_no_more(
    experiment: Experiment, owner: User, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "_MOST", 1)
    make("runs")
    with pytest.raises(archives.NotThereError, match="keeps 1 download already"):
        archives.ask(experiment=experiment, kind="report", actor=owner)


def test_questions_for_training_tools_leave_rejected_ones_out_and_take_edits(
    experiment: Experiment, make: Make
) -> None:
    WeakQuery.objects.filter(weak_id="w0").update(verdict="reject")
    WeakQuery.objects.filter(weak_id="w1").update(verdict="edit", edited="who may borrow a book")
    files = members(make("questions", chosen="beir"))
    texts = [json.loads(line) for line in files["questions/queries.jsonl"].decode().splitlines()]
    assert [(one["_id"], one["text"], one["metadata"]["generated"]) for one in texts] == [
        ("w1", "who may borrow a book", "who may borrow")
    ]
    assert files["questions/qrels/train.tsv"].decode() == "query-id\tcorpus-id\tscore\nw1\td1\t1\n"
    assert len(files["questions/corpus.jsonl"].splitlines()) == 3


def test_nothing_of_the_note_is_in_a_standard_card(experiment: Experiment, make: Make) -> None:
    card = members(make("retriever", *boxes("retriever")))["retriever/README.md"].decode()
    assert NOTE.split()[1] not in card
