"""manage.py without a browser: what it prints, and the codes it ends with. Jobs are done while a command waits."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.webapp.documents.attempts import run_errand
from webapp.management import headless
from webapp.models import Archive, Corpus, Errand, Experiment, Project, Query, State, Upload, User
from webapp.selectors import archives
from webapp.services import errands

GOOD = '{"_id": "a", "text": "One."}\n{"_id": "b", "text": "Two."}\n'


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], project: Project, owner: User) -> Callable[..., str]:
    """Return `run(name, *words)`: what a command prints, done by the owner in the project."""

    def call(name: str, *words: str, email: str = "") -> str:
        place = [] if name == "createproject" else ["--project", project.slug]
        call_command(name, *words, *place, "--as", email or owner.email)
        return capsys.readouterr().out

    return call


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that waits has its uploads worked on."""

    def work() -> None:
        for upload in Upload.objects.filter(stage__in=["checking", "importing"]):
            run_errand("upload.check" if upload.stage == "checking" else "upload.import", upload)

    monkeypatch.setattr(headless, "pause", work)


@pytest.fixture
def corpus_file(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.jsonl"
    path.write_text(GOOD)
    return path


def code_of(error: pytest.ExceptionInfo[CommandError]) -> int:
    return error.value.returncode


def test_a_project_is_made_and_its_name_printed(run: Callable[..., str], owner: User) -> None:
    slug = run("createproject", "House rules", "--description", "ours").strip()
    made = Project.objects.get(slug=slug)
    assert (made.name, made.description, made.memberships.get().user) == ("House rules", "ours", owner)
    assert set(json.loads(run("createproject", "Other", "--json"))) == {"project", "name"}
    with pytest.raises(CommandError) as error:
        run("createproject", "")
    assert code_of(error) == 1


def test_documents_are_imported_and_their_health_is_printed(
    run: Callable[..., str], worker: None, corpus_file: Path, project: Project
) -> None:
    said = run("importdocuments", str(corpus_file))
    assert "Version 1: 2 documents, 0 rows left out." in said
    assert "! Number: There are only 2." in said
    assert Corpus.objects.get(project=project, ready=True).documents == 2
    assert corpus_file.read_text() == GOOD  # the file itself stays where it is
    found = json.loads(run("importdocuments", str(corpus_file), "--json"))
    assert (found["version"], found["documents"], found["left_out"]) == (2, 2, 0)


def test_bad_rows_are_left_out_only_when_told_so(
    run: Callable[..., str], worker: None, corpus_file: Path, project: Project
) -> None:
    corpus_file.write_text(GOOD + "{\n")
    with pytest.raises(CommandError, match="do it again with --accept") as error:
        run("importdocuments", str(corpus_file))
    assert code_of(error) == 3
    assert not Corpus.objects.filter(ready=True).exists()
    assert "2 documents, 1 rows left out" in run("importdocuments", str(corpus_file), "--accept")


def test_a_command_that_waits_too_long_says_so(
    run: Callable[..., str], corpus_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headless, "pause", lambda: None)
    with pytest.raises(CommandError, match="The time ran out") as error:
        run("importdocuments", str(corpus_file), "--timeout", "0")
    assert code_of(error) == 4


def test_a_job_that_was_stopped_ends_the_command(
    run: Callable[..., str], corpus_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headless, "pause", lambda: errands.cancel(errand=Errand.objects.get(), actor=None))
    with pytest.raises(CommandError, match="stopped") as error:
        run("importdocuments", str(corpus_file))
    assert code_of(error) == 3


def test_examples_are_imported(run: Callable[..., str], tmp_path: Path, ready: Project) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("query,doc_id,grade\nwhen open,d2,2\nlost,nix,1\n")
    with pytest.raises(CommandError, match="Nothing was imported") as error:
        run("importexamples", str(path))
    assert (code_of(error), Query.objects.filter(text="when open").exists()) == (3, False)
    said = run("importexamples", str(path), "--accept", "--split", "test")
    assert "Imported 1 new questions and 1 grades; 1 rows left out." in said
    assert "10 training, 4 held-out and 7 test" in said


def test_an_experiment_is_started_once_and_followed(
    run: Callable[..., str], ready: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--preset", "fast", "--arm", "sptar", "--set", "tune.epochs=2", "--request-token", "nightly"]
    assert json.loads(run("startexperiment", *words, "--json"))["experiment"] == 1
    monkeypatch.setattr(headless, "pause", lambda: Experiment.objects.update(state=State.DONE))
    said = run("startexperiment", *words, "--wait")
    assert "Experiment 1 of" in said and "0 of" in said
    experiment = Experiment.objects.get()
    assert (experiment.arms, experiment.settings["tune"]["epochs"]) == (["bm25", "zero_shot", "sptar"], 2)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--set", "tune.epochs"], "stage.option=value"),
        (["--set", "tune.nix=1"], "There is no option tune.nix"),
        (["--set", "tune.epochs=0"], "out of range"),
        (["--llm", "../../etc"], "Select a valid choice"),
        (["--seeds", "9"], "less than or equal to 5"),
    ],
)
def test_wrong_choices_are_refused(
    run: Callable[..., str], ready: Project, words: list[str], sentence: str
) -> None:  # fmt: skip
    with pytest.raises(CommandError, match=sentence) as error:
        run("startexperiment", *words)
    assert (code_of(error), Experiment.objects.exists()) == (1, False)


def test_status_tells_where_a_project_and_an_experiment_stand(run: Callable[..., str], ready: Project) -> None:
    found = json.loads(run("status", "--json"))
    assert (found["counts"]["train"], found["steps"]["documents"], found["experiment"]) == (10, "done", None)
    run("startexperiment", "--preset", "fast")
    assert "Experiment 1: 0 of" in run("status", "--experiment", "1")
    assert json.loads(run("status", "--experiment", "1", "--json"))["stages"]["prepare"] == "queued"
    with pytest.raises(CommandError) as error:
        run("status", "--experiment", "2")
    assert code_of(error) == 1


def test_examples_are_exported_exactly(run: Callable[..., str], ready: Project, tmp_path: Path) -> None:
    out = tmp_path / "examples.jsonl"
    run("export", "examples.jsonl", "--out", str(out))
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(rows) == 30 and rows[0] == {
        "query": "What is q0?", "doc_id": "d0", "grade": 1, "split": "train", "query_id": "q0", "status": "done",
    }  # fmt: skip
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["examples.jsonl"]


def test_an_archive_is_asked_for_awaited_and_copied(
    run: Callable[..., str], ready: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("startexperiment", "--preset", "fast")
    experiment = Experiment.objects.get()
    archive = Archive.objects.create(project=ready, experiment=experiment, kind="runs", fingerprint="f", name="r.zip")
    (tmp_path / "content").write_bytes(b"a zip")
    asked: list[Any] = []
    monkeypatch.setattr("webapp.services.archives.ask", lambda **given: (asked.append(given), (archive, True))[1])
    monkeypatch.setattr(archives, "file_of", lambda one: tmp_path / "content")
    out = tmp_path / "r.zip"
    assert json.loads(run("export", "runs", "--out", str(out), "--experiment", "1", "--json"))["bytes"] == 5
    assert out.read_bytes() == b"a zip"
    assert (asked[0]["kind"], asked[0]["experiment"]) == ("runs", experiment)


def test_a_person_may_do_what_their_role_allows_and_no_more(
    run: Callable[..., str], member: Callable[[str], User], stranger: User, corpus_file: Path, tmp_path: Path
) -> None:
    viewer, out = member("viewer").email, str(tmp_path / "x.csv")
    run("export", "examples.csv", "--out", out, email=viewer)
    for words, email, sentence in (
        (("importdocuments", str(corpus_file)), viewer, "Your role here is viewer"),
        (("startexperiment",), viewer, "Your role here is viewer"),
        (("export", "runs", "--out", out), viewer, "Your role here is viewer"),
        (("status",), stranger.email, "is a member of no project"),
        (("status",), "nobody@example.org", "There is no account nobody@example.org"),
        (("importdocuments", str(tmp_path / "nix.jsonl")), "", "No such file"),
    ):
        with pytest.raises(CommandError, match=sentence) as error:
            run(*words, email=email)
        assert code_of(error) == 1
    assert not Upload.objects.exists()
