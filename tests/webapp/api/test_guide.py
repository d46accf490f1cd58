"""The commands of docs/api.md do what it says: each is run, with curl, against a server."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django.live_server_helper import LiveServer

from tests.webapp.documents.attempts import run_errand
from tests.webapp.experiments.conftest import SPLITS
from webapp.models import Upload, User
from webapp.services import api_tokens

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "api.md"


def commands() -> Iterator[str]:
    for block in re.findall(r"```sh\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL):
        yield from re.split(r"\n(?=curl)", block.strip())


@pytest.fixture
def files(tmp_path: Path) -> Path:
    documents = ({"_id": f"d{n}", "title": f"Title {n}", "text": f"Text {n}"} for n in range(40))
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in documents))
    splits = [split for split, count in SPLITS.items() for _ in range(count)]
    rows = [f"what is {n},d{n},2,{split}" for n, split in enumerate(splits)]
    (tmp_path / "pairs.csv").write_text("\n".join(["query,doc_id,grade,split", *rows]) + "\n")
    return tmp_path


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_every_command_of_the_guide_works(live_server: LiveServer, files: Path) -> None:
    person = User.objects.create_user("you@example.org")
    known = {"SPTAR": live_server.url, "TOKEN": api_tokens.make(user=person, name="guide", scope="run")[1]}
    answers: list[Any] = []
    for command in commands():
        done = subprocess.run(
            ["sh", "-c", command], cwd=files, env={**os.environ, **known}, capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        answers.append(json.loads(done.stdout))
        if command.endswith("/projects/"):
            known["PROJECT"] = answers[-1]["slug"]
        elif command.endswith("/uploads/"):
            known["UPLOAD"] = str(answers[-1]["id"])
            for kind in ("upload.check", "upload.import"):
                run_errand(kind, Upload.objects.get(pk=answers[-1]["id"]))
        elif command.endswith("/imports/"):
            known["IMPORT"] = str(answers[-1]["id"])
    me, project, _, upload, _, imported, plan, started, experiment, comparison = answers
    assert (me["email"], project["name"]) == ("you@example.org", "House rules")
    assert (upload["stage"], upload["rows_good"], imported["stage"]) == ("done", 40, "done")
    assert plan["can_start"] is True
    assert (started["number"], experiment["state"], comparison["arms"]) == (1, "queued", [])
