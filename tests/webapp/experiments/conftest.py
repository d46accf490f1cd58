"""A project that can start an experiment, and experiments in every state."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest

from sptar_engine.arms import STANDARD_ARMS
from sptar_engine.artifacts import sha256_file
from sptar_engine.experiment import plan
from sptar_engine.presets import PRESETS
from webapp.models import Corpus, Document, Experiment, Judgement, Project, Query, StageRun, State, User
from webapp.places import corpus_folder

DOCUMENTS = 40
SPLITS = {"train": 10, "dev": 4, "test": 6}


def add_corpus(project: Project, number: int = 1, documents: int = DOCUMENTS) -> Corpus:
    """A ready version of the documents with its file, in use."""
    corpus = Corpus.objects.create(project=project, number=number, ready=True, documents=documents)
    rows = [{"_id": f"d{at}", "title": f"Title {at}", "text": f"Text {at}"} for at in range(documents)]
    path = corpus_folder(corpus) / "corpus.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    corpus.sha256 = sha256_file(path)
    corpus.save()
    Document.objects.bulk_create(
        Document(corpus=corpus, doc_id=row["_id"], title=row["title"], text=row["text"]) for row in rows
    )
    project.corpus = corpus
    project.save()
    return corpus


def add_example(project: Project, name: str, split: str, grades: dict[str, int], judge: User | None = None) -> Query:
    """A finished question with the grades that count."""
    query = Query.objects.create(
        project=project, query_id=name, text=f"What is {name}?", normalised=sha256(name.encode()).hexdigest(),
        status="done", split=split, split_fixed=True, judged=len(grades),
        relevant=sum(grade >= 1 for grade in grades.values()),
    )  # fmt: skip
    Judgement.objects.bulk_create(
        Judgement(query=query, doc_id=doc_id, grade=grade, judge=judge) for doc_id, grade in grades.items()
    )
    return query


@pytest.fixture
def ready(project: Project, owner: User) -> Project:
    """40 documents; 10 training examples with two relevant documents each, 4 held-out and 6 test ones with one."""
    add_corpus(project)
    number = 0
    for split, count in SPLITS.items():
        for _ in range(count):
            grades = {f"d{number}": 1} | ({f"d{number + 1}": 2} if split == "train" else {})
            add_example(project, f"q{number}", split, grades, owner)
            number += 1
    return project


@pytest.fixture
def make_experiment(ready: Project, owner: User) -> Callable[..., Experiment]:
    """Return `make(states, arms=…)`: an experiment of the preset fast; `states` by step id, all others wait."""

    def make(states: dict[str, str] | None = None, **fields: Any) -> Experiment:
        fields.setdefault("arms", list(STANDARD_ARMS))
        number = ready.experiments.count() + 1
        experiment = Experiment.objects.create(
            project=ready, number=number, request_token=f"token {number}", preset="fast", corpus=ready.corpus,
            settings={stage: dict(values) for stage, values in PRESETS["fast"].settings.items()},
            labels_version=ready.labels_version, dataset="0" * 32, started_by=owner,
            counts={"documents": DOCUMENTS, "train_pairs": 20, **SPLITS}, **fields,
        )  # fmt: skip
        steps = plan(
            fields["arms"], experiment.settings, families=experiment.families, equal_pairs=experiment.equal_pairs
        )
        for position, step in enumerate(steps):
            StageRun.objects.create(
                experiment=experiment, position=position, step_id=step.step_id, stage=step.stage,
                arms=list(step.arms), family=step.family, variant=step.variant, config=step.config.as_dict(),
                inputs=dict(step.inputs), equal=list(step.equal), queue="gpu",
                state=(states or {}).get(step.step_id, State.WAITING),
            )  # fmt: skip
        return experiment

    return make


@pytest.fixture
def done_experiment(make_experiment: Callable[..., Experiment]) -> Experiment:
    """An experiment of which every step is done."""
    experiment = make_experiment(state=State.DONE)
    experiment.stages.update(state=State.DONE)
    return experiment
