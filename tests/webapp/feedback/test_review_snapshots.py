"""Verdicts as a file: what the engine reads, named by its content."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from sptar_engine.training.decisions import Decision, read_decisions
from webapp.models import Experiment, Project, WeakQuery
from webapp.places import decisions_file
from webapp.services import review_snapshots

pytestmark = pytest.mark.django_db
Say = Callable[..., WeakQuery]


def test_the_engine_reads_what_people_said(written: Experiment, say: Say) -> None:
    say("w3", "reject", reason="vague")
    say("w0", "accept")
    say("w5", "edit", "a better “question”")
    say("w1", "unsure")
    taken = review_snapshots.take(written.project, ["generate-s", "generate-i"])
    assert taken is not None
    path = decisions_file(written.project, taken.name)
    assert read_decisions(path) == {
        "w0": Decision("accept"), "w3": Decision("reject"), "w5": Decision("edit", "a better “question”"),
    }  # fmt: skip
    assert taken.counts == {"accept": 1, "reject": 1, "edit": 1}
    assert taken.batches == {"generate-s"}
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert rows[1] == {"weak_id": "w3", "verdict": "reject"}  # who and why would be another training for nothing


def test_the_same_verdicts_are_one_file_and_others_another(written: Experiment, say: Say) -> None:
    say("w3", "reject")
    first = review_snapshots.take(written.project, ["generate-s"])
    say("w3", "reject", reason="copied")
    say("w4", "unsure")
    assert review_snapshots.take(written.project, ["generate-s"]) == first
    say("w4", "accept")
    second = review_snapshots.take(written.project, ["generate-s"])
    assert first is not None and second is not None and first.name != second.name
    folder = decisions_file(written.project, "x").parent
    assert {path.name for path in folder.iterdir()} == {f"{first.name}.jsonl", f"{second.name}.jsonl"}


def test_without_a_verdict_there_is_no_file(written: Experiment, say: Say) -> None:
    say("w4", "unsure")
    assert review_snapshots.take(written.project, ["generate-s"]) is None
    assert list(decisions_file(written.project, "x").parent.iterdir()) == []


def test_verdicts_of_other_batches_and_projects_stay_out(written: Experiment, say: Say, other_project: Project) -> None:
    say("w0", "accept")
    for project, name in ((other_project, "generate-s"), (written.project, "generate-x")):
        WeakQuery.objects.create(project=project, batch=name, weak_id="w9", doc_id="d", text="t", verdict="reject")
    taken = review_snapshots.take(written.project, ["generate-s"])
    assert taken is not None and taken.counts == {"accept": 1}
