"""Files of questions that two arms share and filter each in its own way: each arm has its own kept ones."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from sptar_engine.artifacts import write_jsonl
from sptar_engine.errors import StageError
from tests.webapp.download.conftest import Make
from tests.webapp.download.results import add_questions, finished_experiment
from webapp.models import Experiment, Project, User, WeakQuery
from webapp.places import store_folder
from webapp.selectors import archives as found
from webapp.selectors.archive_sources import packed_arm, sources_of

SAYS = {
    "inpars": {"w0": "", "w1": "rank", "w2": "", "w3": "duplicate"},
    "promptagator": {"w0": "round_trip", "w1": "", "w2": "duplicate", "w3": ""},
}
"""Why each arm's filter drops a question: keyword search that of the plain prompt, search by meaning the other."""


def ranks(experiment: Experiment, arm: str) -> Path:
    folder = experiment.stages.get(step_id=f"filter.{arm}").folder
    return store_folder(experiment.project) / "stages" / folder / "ranks.jsonl"


@pytest.fixture
def experiment(project: Project, owner: User) -> Experiment:
    """The rows say what the filter of the first arm says."""
    asked = {"select": {"examples": 8, "instruction": "Write."}}
    made = finished_experiment(
        project, owner, arms=["bm25", "zero_shot", "seeds_only", "inpars", "promptagator"], asked=asked
    )
    assert [row.arms for row in made.stages.filter(stage="generate")] == [["inpars", "promptagator"]]
    add_questions(made, ["one", "two", "three", "two again", "x"], step="generate.inpars")
    WeakQuery.objects.filter(weak_id="w1").update(rank=None)
    WeakQuery.objects.filter(weak_id="w4").update(dropped="short", rank=None)
    for arm, said in SAYS.items():
        write_jsonl(ranks(made, arm), ({"weak_id": name, "reason": why} for name, why in said.items()))
    for weak_id, why in SAYS["inpars"].items():
        WeakQuery.objects.filter(weak_id=weak_id).update(dropped=why)
    return made


def test_the_dataset_holds_what_the_packed_model_learned_from(experiment: Experiment, make: Make) -> None:
    sources = sources_of(experiment)
    assert sources.packed is not None
    assert packed_arm(sources) == sources.packed.stage.arms[0] == "promptagator"
    with zipfile.ZipFile(found.file_of(make("questions", chosen="beir")) or Path()) as opened:
        queries = [json.loads(line) for line in opened.read("questions/queries.jsonl").decode().splitlines()]
    assert [one["_id"] for one in queries] == ["w1", "w3"]


def test_each_arm_has_its_rows_by_its_own_filter(experiment: Experiment, make: Make) -> None:
    path = found.file_of(make("questions", chosen="jsonl"))
    assert path is not None
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    said = {arm: {row["weak_id"]: row["dropped"] for row in rows if row["arm"] == arm} for arm in SAYS}
    assert said == {arm: {**reasons, "w4": "short"} for arm, reasons in SAYS.items()}
    assert len(rows) == 10 and all(row["kept"] is not bool(row["dropped"]) for row in rows)


def test_an_arm_whose_filter_has_not_run_has_nothing_of_another_ones(experiment: Experiment, make: Make) -> None:
    experiment.stages.filter(step_id="filter.promptagator").update(state="running")
    path = found.file_of(make("questions", chosen="jsonl"))
    assert path is not None
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert {row["dropped"] for row in rows if row["arm"] == "promptagator"} == {"", "short"}


def test_a_filter_whose_file_is_gone_is_not_replaced_by_another_one(experiment: Experiment, make: Make) -> None:
    ranks(experiment, "promptagator").unlink()
    with pytest.raises(StageError, match=r"ranks\.jsonl of a finished filter is gone"):
        make("questions")
