"""Pushing to a hub: a server of ours stands in for it."""

from __future__ import annotations

import base64
import io
import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.webapp.download.results import MODEL, NOTE, TEST_QUESTION, finished_experiment
from webapp import places
from webapp.models import Event, Experiment, Project, User

TOKEN = "hf_" + "s3cr3t" * 5


class Hub:
    """What the stand-in was asked and told."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.tokens: set[str] = set()
        self.is_private: bool | None = None
        self.refuses = False
        self.endpoint = ""


class Handler(BaseHTTPRequestHandler):
    """Answers as the hub does, as far as a push asks. It takes all files in the commit itself."""

    @property
    def hub(self) -> Hub:
        return self.server.hub  # type: ignore[attr-defined]

    def do_GET(self) -> None:
        self._noted()
        if self.hub.refuses:
            self._answer({"error": f"Invalid credentials: {TOKEN}"}, 401)
            return
        self._answer({"id": "me/model", "private": self.hub.is_private, "sha": "0" * 40, "siblings": []})

    def do_POST(self) -> None:
        raw = self._noted()
        known = {"/api/repos/create": self._create, "preupload": self._preupload, "commit": self._commit}
        if self.hub.refuses:
            self._answer({"error": f"Invalid credentials: {TOKEN}"}, 401)
            return
        found = next((do for part, do in known.items() if part in self.path.split("/") or part == self.path), None)
        if found:
            found(raw)
        else:
            self._answer({"errors": [], "warnings": []})

    def _create(self, raw: bytes) -> None:
        asked = json.loads(raw)
        if self.hub.is_private is not None:
            self._answer({"error": "You already created this model repo", "url": f"{self.hub.endpoint}/me/model"}, 409)
            return
        self.hub.is_private = bool(asked.get("private", asked.get("visibility") == "private"))
        self._answer({"url": f"{self.hub.endpoint}/me/model", "name": "me/model", "id": "me/model"})

    def _preupload(self, raw: bytes) -> None:
        paths = [one["path"] for one in json.loads(raw)["files"]]
        self._answer({"files": [{"path": p, "uploadMode": "regular", "shouldIgnore": False} for p in paths]})

    def _commit(self, raw: bytes) -> None:
        rows = [json.loads(line) for line in raw.splitlines()]
        files = [row["value"] for row in rows if row["key"] == "file"]
        self.hub.files |= {file["path"]: base64.b64decode(file["content"]) for file in files}
        self._answer({"commitUrl": f"{self.hub.endpoint}/me/model/commit/1", "commitOid": "1", "success": True})

    def _noted(self) -> bytes:
        self.hub.tokens.add(self.headers.get("authorization", ""))
        assert TOKEN not in self.path
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _answer(self, value: Any, status: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        del arguments


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    found = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.hub = found  # type: ignore[attr-defined]
    found.endpoint = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("HF_ENDPOINT", found.endpoint)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def push(project: Project, *options: str, repository: str = "me/model", number: int = 1) -> str:
    out = io.StringIO()
    call_command("push_to_hub", project.slug, str(number), repository, *options, stdout=out, stderr=out)
    return out.getvalue()


def test_a_new_repository_is_private_and_gets_the_checked_files(
    project: Project, experiment: Experiment, hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said = push(project)
    assert said == f"8 files are in {hub.endpoint}/me/model, which is private.\n"
    assert hub.is_private is True
    assert {name: hub.files[name] for name in MODEL} == MODEL
    assert set(hub.files) == {*MODEL, "README.md", "requirements.txt", "load_example.py", "SHA256SUMS"}
    assert hub.tokens == {f"Bearer {TOKEN}"}
    assert TOKEN not in said and TOKEN not in caplog.text
    event = Event.objects.get(verb="experiment.pushed")
    assert event.facts == {"experiment": 1, "repository": "me/model", "private": True}


def test_the_card_shows_words_of_people_only_when_asked(project: Project, experiment: Experiment, hub: Hub) -> None:
    push(project)
    assert b"reader" not in hub.files["README.md"] and b"Winter" not in hub.files["README.md"]
    push(project, "--show", "examples")
    assert b"## Example queries" in hub.files["README.md"]
    assert NOTE.encode() not in hub.files["README.md"] and TEST_QUESTION  # the note was not asked for


def test_a_public_repository_is_refused_unless_said(project: Project, experiment: Experiment, hub: Hub) -> None:
    hub.is_private = False
    with pytest.raises(CommandError, match="everybody can read it"):
        push(project)
    assert hub.files == {}
    assert "which is public" in push(project, "--public")
    assert hub.files


def test_a_public_one_is_made_when_said(project: Project, experiment: Experiment, hub: Hub) -> None:
    assert "which is public" in push(project, "--public")
    assert hub.is_private is False


def test_without_a_token_nothing_is_asked(
    project: Project, experiment: Experiment, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(CommandError, match="Set HF_TOKEN"):
        push(project)
    assert hub.tokens == set()


def test_a_refusal_is_a_sentence_that_does_not_hold_the_token(
    project: Project, experiment: Experiment, hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    hub.refuses = True
    with pytest.raises(CommandError, match="The hub refused") as caught:
        push(project)
    assert TOKEN not in str(caught.value) and TOKEN not in caplog.text
    assert not Event.objects.filter(verb="experiment.pushed").exists()


@pytest.mark.parametrize("name", ["../../etc", "a/b/c", "me/model; rm", "me//model", "-x/y--z"])
def test_a_name_that_is_none_is_refused_before_anything_is_sent(
    project: Project, experiment: Experiment, hub: Hub, name: str
) -> None:
    with pytest.raises(CommandError):
        push(project, "--", repository=name) if name.startswith("-") else push(project, repository=name)
    assert hub.tokens == set()


def test_a_hub_that_is_not_there_is_a_sentence(
    project: Project, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with pytest.raises(CommandError, match="cannot be reached"):
        push(project)


def test_offline_it_says_so(
    project: Project, experiment: Experiment, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(CommandError, match="HF_HUB_OFFLINE is set"):
        push(project)


def test_what_is_not_the_checked_archive_is_not_pushed(project: Project, experiment: Experiment, hub: Hub) -> None:
    folder = places.store_folder(project) / "stages" / "package.sptar-0123456789abcdef"
    with (folder / "retriever.zip").open("ab") as stream:
        stream.write(b"more")
    with pytest.raises(CommandError, match="not the one that was checked"):
        push(project)
    assert hub.tokens == set()


def test_a_damaged_archive_is_a_sentence(project: Project, experiment: Experiment, hub: Hub) -> None:
    folder = places.store_folder(project) / "stages" / "package.sptar-0123456789abcdef"
    (folder / "retriever.zip").write_bytes(b"PK no zip")
    with pytest.raises(CommandError, match="is damaged or gone"):
        push(project)
    assert hub.tokens == set()


def test_an_experiment_without_a_model_says_so(project: Project, owner: User, hub: Hub) -> None:
    finished_experiment(project, owner, packed=False)
    with pytest.raises(CommandError, match="packed no search model"):
        push(project)
    with pytest.raises(CommandError, match="There is no experiment 9"):
        push(project, number=9)
