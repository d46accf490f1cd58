"""A measured experiment with its files, small enough to be worked out by hand."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sptar_engine.data.beir import write_labels
from sptar_engine.evaluation.compare import compare_arms
from sptar_engine.evaluation.metrics import measure
from sptar_engine.evaluation.trec import write_run
from sptar_engine.records import Hit, Qrels
from sptar_engine.records import Query as EngineQuery
from tests.webapp.experiments.conftest import add_example, make_experiment, ready  # noqa: F401  fixtures
from webapp.errands import KINDS
from webapp.models import Errand, Experiment, Project, StageRun, State, User
from webapp.places import store_folder

ARMS = ("bm25", "zero_shot", "sptar")
TESTS = {f"q{number}": f"d{number}" for number in range(14, 22)}
"""The six test questions of `ready` and two more, each with its one relevant document."""
RANKS = {"bm25": 3, "zero_shot": 2, "sptar": 1}
"""Where each search puts the relevant document. nDCG@10 is 1/log2(1 + rank): 0.5, 0.631, 1."""


def ranking(relevant: str, rank: int, depth: int = 12) -> list[str]:
    """Documents from the end of the collection, the relevant one at its rank."""
    others = [f"d{number}" for number in range(39, 39 - depth, -1) if f"d{number}" != relevant]
    return [*others[: rank - 1], relevant, *others[rank - 1 : depth - 1]]


def write_result(project: Project, stage: StageRun, files: Mapping[str, str]) -> Path:
    """The folder of a finished stage."""
    folder = store_folder(project) / "stages" / f"{stage.stage}-{stage.pk}"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    StageRun.objects.filter(pk=stage.pk).update(folder=folder.name, state=State.DONE)
    return folder


def measure_all(experiment: Experiment, ranks: Mapping[str, int] = RANKS) -> Experiment:
    """Give an experiment the files of its evaluations and its comparison, as the engine makes them."""
    project = experiment.project
    qrels = Qrels({query_id: {doc_id: 1} for query_id, doc_id in TESTS.items()})
    prepare = experiment.stages.get(stage="prepare")
    folder = write_result(project, prepare, {})
    write_labels(folder, [EngineQuery(one, f"What is {one}?") for one in TESTS], {"test": qrels})
    arms: dict[str, Any] = {}
    for arm, rank in ranks.items():
        stage = experiment.stages.get(step_id=f"evaluate.{arm}")
        rankings = {
            query_id: [Hit(doc, -float(at)) for at, doc in enumerate(ranking(doc_id, rank))]
            for query_id, doc_id in TESTS.items()
        }
        metrics = measure(qrels, rankings)
        text = json.dumps({"mean": metrics.mean, "per_query": metrics.per_query})
        write_run(write_result(project, stage, {"metrics.json": text}) / "run.trec", rankings, arm)
        StageRun.objects.filter(pk=stage.pk).update(metrics={"has_judged_non_relevant": False})
        arms[arm] = metrics.per_query
    experiment.comparison = {"dataset": "toy", "arms": compare_arms(arms)}
    experiment.save()
    return experiment


@pytest.fixture
def measured_one(ready: Project, owner: User, make_experiment: Callable[..., Experiment]) -> Experiment:  # noqa: F811
    """Experiment 1: keyword search, the untrained model and SPTAR are measured on eight test questions."""
    for query_id, doc_id in list(TESTS.items())[6:]:
        add_example(ready, query_id, "test", {doc_id: 1}, owner)
    experiment = make_experiment(arms=list(ARMS), state=State.DONE)
    experiment.stages.update(state=State.DONE)
    return measure_all(experiment)


@pytest.fixture
def another(measured_one: Experiment, make_experiment: Callable[..., Experiment]) -> Experiment:  # noqa: F811
    """Experiment 2, based on the first: SPTAR puts the relevant document second."""
    experiment = make_experiment(arms=list(ARMS), state=State.DONE, based_on=measured_one, change="review")
    experiment.stages.update(state=State.DONE)
    return measure_all(experiment, {**RANKS, "sptar": 2})


class FakeAttempt:
    """What an errand needs of webapp.jobs.attempt.Attempt."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def tick(self, done: int, total: int, message: str = "", **numbers: float) -> None:
        """Remember what was said."""
        self.said.append(message)

    def check(self) -> None:
        """Nobody stops it."""

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """No lease here."""
        yield


@pytest.fixture
def do() -> Callable[[Errand], dict[str, Any]]:
    """Return `do(errand)`: carry an errand out as its process would."""

    def run(errand: Errand) -> dict[str, Any]:
        found: dict[str, Any] = importlib.import_module(KINDS[errand.kind]).run(errand, FakeAttempt())
        Errand.objects.filter(pk=errand.pk).update(state=State.DONE, metrics=found)
        return found

    return run
