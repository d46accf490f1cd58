"""A project with generated questions: twelve, of five documents, whose risk falls with their number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.urls import reverse

from webapp.models import Corpus, Document, Errand, Experiment, Project, StageRun, State, User, WeakQuery
from webapp.services import queueing

BATCH = "generate-0123456789abcdef"
DOCUMENTS = 5
QUESTIONS = 12


@pytest.fixture(autouse=True)
def no_redis(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Work that was queued, in place of a queue."""
    queued: list[Any] = []
    monkeypatch.setattr(queueing, "enqueue_on_commit", queued.append)
    return queued


@pytest.fixture
def experiment(project: Project) -> Experiment:
    """Experiment 1, whose tuned question writer has written and whose filter has run."""
    corpus = Corpus.objects.create(project=project, number=1, ready=True, documents=DOCUMENTS, sha256="0" * 64)
    Document.objects.bulk_create(
        Document(corpus=corpus, doc_id=f"d{at}", title=f"Loans {at}", text=f"A book is lent for {at} weeks.")
        for at in range(DOCUMENTS)
    )
    project.corpus = corpus
    project.save(update_fields=["corpus"])
    made = Experiment.objects.create(
        project=project, number=1, request_token="t", preset="fast", arms=["bm25", "sptar"], corpus=corpus,
        labels_version=1, dataset="0" * 32, state=State.DONE,
    )  # fmt: skip
    for position, (stage, folder) in enumerate([("generate", BATCH), ("filter", "filter-x")]):
        StageRun.objects.create(
            experiment=made, position=position, step_id=f"{stage}.sptar", stage=stage, queue="cpu", arms=["sptar"],
            state=State.DONE, folder=folder, config={"top_k": 30} if stage == "filter" else {},
        )  # fmt: skip
    return made


@pytest.fixture
def write(project: Project, experiment: Experiment) -> Callable[..., list[WeakQuery]]:
    """Return `write(*texts, **fields)`: generated questions of the batch."""

    def make(*texts: str, **fields: Any) -> list[WeakQuery]:
        before = WeakQuery.objects.count()
        rows = [
            WeakQuery(
                project=project, batch=BATCH, weak_id=f"w{before + at}", doc_id=f"d{(before + at) % DOCUMENTS}",
                text=text, **{"rank": 1 + at, "risk": 1 - (before + at) / 1000, "draw": 1000 - before - at, **fields},
            )
            for at, text in enumerate(texts)
        ]  # fmt: skip
        return WeakQuery.objects.bulk_create(rows)

    return make


@pytest.fixture
def weak(write: Callable[..., list[WeakQuery]]) -> list[WeakQuery]:
    """Twelve kept questions, the riskiest first; their random order is the other way round."""
    return write(*(f"how long is book {number} lent" for number in range(QUESTIONS)))


@pytest.fixture
def reviewer(member: Callable[[str], User]) -> User:
    """A second person who may review."""
    return member("reviewer")


@pytest.fixture
def at(project: Project) -> Callable[..., str]:
    """Return `at(route, *ids)`: an address of the batch."""
    return lambda name, *ids: reverse(name, args=[project.slug, 1, "sptar", *ids])


def errand_of(kind: str) -> Errand:
    """The newest errand of a kind."""
    return Errand.objects.filter(kind=kind).latest("pk")
