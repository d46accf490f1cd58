"""Documents on the disk, and a search service in this process that says what a test wants."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sptar_engine.artifacts import sha256_file
from sptar_engine.serving.server import Server
from tests import toy_data
from webapp import places
from webapp.models import Corpus, Project


@pytest.fixture
def search_socket(settings: Any) -> Iterator[Path]:
    """Where the service answers: the folder's name is short enough for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="sptar-"))
    settings.SEARCH_SOCKET = folder / "s.sock"
    yield settings.SEARCH_SOCKET
    shutil.rmtree(folder)


@pytest.fixture
def corpus(project: Project, search_socket: Path) -> Corpus:
    """The toy documents as version 1 of the project."""
    made = Corpus(project=project, number=1, documents=60, ready=True)
    toy_data.write(places.corpus_folder(made))
    made.sha256 = sha256_file(places.corpus_folder(made) / "corpus.jsonl")
    made.save()
    project.corpus = made
    project.save()
    return made


class Script:
    """A service that gives prepared answers, by kind of request, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answers: dict[str, list[Any]] = {}

    def says(self, do: str, *answers: Any) -> None:
        """Answer requests of this kind one after the other so; the last answer stays. An exception is raised."""
        self.answers[do] = list(answers)

    def kinds(self) -> list[str]:
        return [f"{request['do']} {request.get('what', '')}".strip() for request in self.asked]

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(request)
        prepared = self.answers[request["do"]]
        answer = prepared.pop(0) if len(prepared) > 1 else prepared[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def script(search_socket: Path) -> Iterator[Script]:
    """The service, running."""
    made = Script()
    server = Server(search_socket, made.answer)
    server.open()
    thread = threading.Thread(target=server.serve, args=(lambda: True,), daemon=True)
    thread.start()
    yield made
    server.stop()
    thread.join(10)
    server.close(1)
