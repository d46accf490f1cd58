"""A project with documents, an experiment that has trained two models, and a search that answers as a test wants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from sptar_engine.experiment import plan
from sptar_engine.presets import PRESETS, Settings
from webapp.models import Corpus, Document, Experiment, Project, StageRun, State
from webapp.places import store_folder
from webapp.search import client
from webapp.search.client import Found, Hit, SearchUnavailable
from webapp.selectors.trained_models import TrainedModel, find_model

TRAINED = ("seeds_only", "sptar")


@pytest.fixture
def corpus(project: Project) -> Corpus:
    """Twenty documents, in use."""
    made = Corpus.objects.create(project=project, number=1, ready=True, documents=20, sha256="0" * 64)
    Document.objects.bulk_create(
        Document(corpus=made, doc_id=f"d{at}", title=f"Rule {at}", text=f"A borrowed book is renewed {at} times.")
        for at in range(20)
    )
    project.corpus = made
    project.save(update_fields=["corpus"])
    return made


@pytest.fixture
def make_experiment(project: Project, corpus: Corpus) -> Callable[..., Experiment]:
    """Return `make(settings, seeds, families, …)`: an experiment whose steps are done; its models are on the disk."""

    def make(
        settings: dict[str, dict[str, Any]] | None = None, seeds: int = 1, families: Sequence[str] = ("bi_encoder",),
        arms: Sequence[str] = TRAINED, asked: Settings | None = None, equal_pairs: bool = False,
    ) -> Experiment:  # fmt: skip
        number = project.experiments.count() + 1
        experiment = Experiment.objects.create(
            project=project, number=number, request_token=str(number), preset="fast", corpus=corpus,
            arms=["bm25", "zero_shot", *arms], labels_version=1, dataset="0" * 32, state=State.DONE,
            families=list(families),
        )  # fmt: skip
        chosen = {stage: {**values} for stage, values in PRESETS["fast"].settings.items()}
        for stage, values in (settings or {}).items():
            chosen.setdefault(stage, {}).update(values)
        steps = plan(experiment.arms, chosen, families=families, seeds=seeds, asked=asked, equal_pairs=equal_pairs)
        for position, step in enumerate(steps):
            folder = f"{step.stage}-{number}-{position}"
            StageRun.objects.create(
                experiment=experiment, position=position, step_id=step.step_id, stage=step.stage,
                arms=list(step.arms), family=step.family, variant=step.variant,
                config=step.config.as_dict(), inputs=dict(step.inputs), queue="gpu", state=State.DONE, folder=folder,
            )  # fmt: skip
            if step.stage == "train":
                model = store_folder(project) / "stages" / folder / "model"
                model.mkdir(parents=True)
                (model / "modules.json").write_text("[]")
        return experiment

    return make


@pytest.fixture
def experiment(make_experiment: Callable[..., Experiment]) -> Experiment:
    """Experiment 1."""
    return make_experiment()


@pytest.fixture
def model(experiment: Experiment) -> TrainedModel:
    """What the tuned question writer has trained."""
    return find_model(experiment, "sptar")


class FakeSearch:
    """Rankings by retriever; `says` holds what is raised instead. Folders of models are found under `after`.

    What is asked for together with keyword search is found under `hybrid`.
    """

    def __init__(self) -> None:
        self.rankings = {"bm25": ["d1", "d2", "d3"], "base": ["d3", "d4", "d1"], "after": ["d4", "d3", "d9"]}
        self.rankings["hybrid"] = ["d7", "d1"]
        self.says: dict[str, SearchUnavailable] = {}
        self.asked: list[tuple[str, str, bool]] = []
        self.prepared: list[str] = []

    def find(
        self, corpus: Corpus, text: str, *, retriever: str, depth: int, begin: bool = True, fusion: str = "",
        **words: float,
    ) -> Found:  # fmt: skip
        self.asked.append((retriever, text, begin))
        key = "hybrid" if fusion else retriever if retriever in self.rankings else "after"
        if key in self.says:
            raise self.says[key]
        ranking = self.rankings[key][:depth] if text else []
        return Found([Hit(doc_id, 1.0 / rank) for rank, doc_id in enumerate(ranking, 1)], 12.3)

    def prepare(self, corpus: Corpus, retriever: str) -> client.Build:
        self.prepared.append(retriever)
        return client.Build(retriever, "building")


@pytest.fixture
def search(monkeypatch: pytest.MonkeyPatch) -> FakeSearch:
    """The search service, played."""
    fake = FakeSearch()
    monkeypatch.setattr(client, "find", fake.find)
    monkeypatch.setattr(client, "prepare", fake.prepare)
    return fake
