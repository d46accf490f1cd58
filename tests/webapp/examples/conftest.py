"""A project with documents and a search that answers without a service."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from webapp.models import Corpus, Document, Judgement, Project, Query, User
from webapp.search import client
from webapp.search.client import Found, Hit, SearchUnavailable
from webapp.services import queries
from webapp.services.decisions import bring_up_to_date

TEXTS = {
    "d1": ("Renewing a loan", "A borrowed book may be renewed twice for four weeks each, unless it is reserved."),
    "d2": ("Opening hours", "The reading room is open from nine to eight, on Saturdays until two."),
    "d3": ("Lost cards", "A lost library card costs five euros; the old card stops working at once."),
    "d4": ("Quiet rooms", "Rooms for quiet work can be reserved for four hours a day."),
    "d5": ("Reminders", "A reminder is sent when a book is three days late; each costs one euro."),
}


@pytest.fixture
def corpus(project: Project) -> Corpus:
    """Five documents, in use."""
    made = Corpus.objects.create(project=project, number=1, ready=True, documents=len(TEXTS), sha256="0" * 64)
    Document.objects.bulk_create(
        Document(corpus=made, doc_id=doc_id, title=title, text=text) for doc_id, (title, text) in TEXTS.items()
    )
    project.corpus = made
    project.save(update_fields=["corpus"])
    return made


class FakeSearch:
    """Answers of the search service; `down` makes every call fail."""

    def __init__(self) -> None:
        self.hits = {client.BM25: ["d1", "d2", "d3"], client.BASE: ["d3", "d4"]}
        self.meaning = "ready"
        self.topics = [client.Topic(0, "loans", 3), client.Topic(1, "rooms", 2)]
        self.of = {"d1": 0, "d3": 0, "d5": 0, "d2": 1, "d4": 1}
        self.down = False

    def check(self) -> None:
        if self.down:
            raise SearchUnavailable("The search service is not running.", "down")

    def find(self, corpus: Corpus, text: str, *, retriever: str = "bm25", depth: int = 20, begin: bool = True) -> Found:
        self.check()
        return Found([Hit(doc_id, 10.0 - rank) for rank, doc_id in enumerate(self.hits[retriever])], 3.0)

    def readiness(self, corpus: Corpus) -> dict[str, str]:
        self.check()
        return {"bm25": "ready", "base": self.meaning, "topics": "ready"}

    def prepare(self, corpus: Corpus, retriever: str) -> object:
        self.check()
        return client.Build(retriever, "building")

    def suggest(
        self, corpus: Corpus, exclude: Sequence[str] = (), n: int = 1, *, covered: Sequence[str] | None = None
    ) -> list[client.Suggestion]:
        self.check()
        free = [doc_id for doc_id in ("d4", "d2", "d1", "d3", "d5") if doc_id not in exclude]
        return [client.Suggestion(doc_id, self.topics[self.of[doc_id]]) for doc_id in free[:n]]

    def all_topics(self, corpus: Corpus) -> list[client.Topic]:
        self.check()
        return self.topics

    def topics_of(self, corpus: Corpus, doc_ids: Sequence[str]) -> dict[str, int]:
        self.check()
        return {doc_id: self.of[doc_id] for doc_id in doc_ids if doc_id in self.of}


@pytest.fixture
def search(monkeypatch: pytest.MonkeyPatch) -> FakeSearch:
    """The search service, played."""
    fake = FakeSearch()
    for name in ("find", "readiness", "prepare", "suggest", "topics_of"):
        monkeypatch.setattr(client, name, getattr(fake, name))
    monkeypatch.setattr(client, "topics", fake.all_topics)
    return fake


@pytest.fixture
def write(project: Project, owner: User, corpus: Corpus) -> Callable[..., Query]:
    """Return `write(text, d1=2, d2=0)`: a question with the owner's grades."""

    def make(text: str, **grades: int) -> Query:
        query = queries.add(project=project, texts=[text], actor=owner).made[0]
        Judgement.objects.bulk_create(
            Judgement(query=query, doc_id=doc_id, grade=grade, judge=owner) for doc_id, grade in grades.items()
        )
        bring_up_to_date(project, [query.pk])
        query.refresh_from_db()
        return query

    return make


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder for files to upload."""
    folder = tmp_path / "files"
    folder.mkdir()
    return folder
