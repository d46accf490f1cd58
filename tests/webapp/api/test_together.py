"""Eight programs review at once, over HTTP, on a file of SQLite: nothing is lost and nothing is there twice."""

from __future__ import annotations

import http.client
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.webapp.operations.machines import ROOT, Machine
from tests.webapp.operations.started import free_port

pytestmark = pytest.mark.processes

QUESTIONS = int(os.environ.get("SPTAR_TEST_VERDICTS", "1000"))
_PATIENCE = 60  # seconds until the server answers


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    found = Machine(tmp_path / "installation")
    found.migrate()
    return found


@pytest.fixture
def port(machine: Machine) -> Iterator[int]:
    """Two processes with four threads each, as `manage.py up` starts them."""
    number = free_port()
    command = [
        sys.executable, "-m", "gunicorn", "webapp.wsgi:application", "--bind", f"127.0.0.1:{number}", "--workers", "2",
        "--worker-class", "gthread", "--threads", "4", "--no-control-socket",
    ]  # fmt: skip
    log = (machine.data / "gunicorn.log").open("w")
    with log:
        server = subprocess.Popen(command, cwd=ROOT, env=machine.environment, stdout=log, stderr=log)
        try:
            end = time.monotonic() + _PATIENCE
            while not answers(number):
                assert time.monotonic() < end, (machine.data / "gunicorn.log").read_text()
                time.sleep(0.1)
            yield number
        finally:
            server.terminate()
            server.wait(30)


def answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/api/v1/me/")
        return connection.getresponse().status == 401
    except OSError:
        return False
    finally:
        connection.close()


class Reviewer:
    """A program that takes cards and judges them until there are no more."""

    def __init__(self, port: int, slug: str, token: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.base = f"/api/v1/projects/{slug}/"
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def post(self, path: str, **body: Any) -> Any:
        self.connection.request("POST", self.base + path, json.dumps(body), self.headers)
        answer = self.connection.getresponse()
        text = answer.read()
        assert answer.status == 200, text
        return json.loads(text)

    def work(self) -> list[int]:
        """The questions judged; each verdict is sent twice, as a program does that heard no answer."""
        judged: list[int] = []
        with closing(self.connection):
            self._judge(judged)
        return judged

    def _judge(self, judged: list[int]) -> None:
        while (card := self.post("experiments/1/questions/sptar/next/")["question"]) is not None:
            for _ in range(2 if card["id"] % 10 == 0 else 1):
                self.post(f"questions/{card['id']}/verdict/", verdict="accept" if card["id"] % 2 else "reject")
            judged.append(card["id"])


def test_verdicts_of_eight_programs_are_all_there_once(machine: Machine, port: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.webapp.api.review_site", str(QUESTIONS)], cwd=ROOT, env=machine.environment,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    site = json.loads(done.stdout)
    with ThreadPoolExecutor(len(site["tokens"])) as pool:
        judged = list(pool.map(lambda token: Reviewer(port, site["slug"], token).work(), site["tokens"]))
    assert sum(map(len, judged)) == len({card for cards in judged for card in cards}) == QUESTIONS
    assert all(judged)  # everybody had some
    with closing(sqlite3.connect(machine.data / "sptar.sqlite3")) as rows:
        reviews = rows.execute("SELECT weak_id, verdict FROM webapp_review").fetchall()
        effective = rows.execute("SELECT id, verdict FROM webapp_weakquery").fetchall()
        events = rows.execute("SELECT count(*) FROM webapp_event WHERE verb = 'review.given'").fetchone()[0]
        leases = rows.execute("SELECT count(*) FROM webapp_reviewlease").fetchone()[0]
    assert sorted(reviews) == sorted(effective)
    assert len(reviews) == len({weak for weak, _ in reviews}) == QUESTIONS
    assert all(verdict == ("accept" if weak % 2 else "reject") for weak, verdict in reviews)
    assert (events, leases) == (QUESTIONS, 0)
