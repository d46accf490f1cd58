"""What the labelling screen shows of a search: documents by words and by meaning, each judged in one place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from django.db.models.functions import Left

from webapp.chunks import chunks
from webapp.marks import Part, around, mark
from webapp.models import Corpus, Document, Judgement, Project, Query
from webapp.search import client
from webapp.search.client import SearchUnavailable
from webapp.selectors.judgements import judgements_of

DEPTH = 10
"""Hits of each search: as many as people judge before they tire; other words bring others."""
_READ = 6000  # characters of a document that the screen has at hand
_EXCERPT = 300  # characters that are shown at once
_TITLE = 300


@dataclass(slots=True)
class Card:
    """A document to judge. `number` is its row's id; `seen` names the grade that counts (services.judgements)."""

    number: int
    doc_id: str
    title: list[Part]
    excerpt: list[Part]
    rest: list[Part]
    grade: int | None = None
    seen: str = ""
    judge: str = ""
    opinions: int = 0
    settled: bool = False
    ranks: dict[str, int] = field(default_factory=dict)
    """Its place by retriever: BM25 (words), BASE (meaning)."""

    @property
    def by_words(self) -> int | None:
        """Its place in the search by words."""
        return self.ranks.get(client.BM25)

    @property
    def by_meaning(self) -> int | None:
        """Its place in the search by meaning."""
        return self.ranks.get(client.BASE)


@dataclass(slots=True)
class Column:
    """The hits of one search. A card is in one column only; `elsewhere` names hits that the other column shows."""

    retriever: str
    cards: list[Card] = field(default_factory=list)
    elsewhere: list[Card] = field(default_factory=list)
    problem: str = ""
    state: str = "ready"
    milliseconds: float = 0.0


@dataclass(slots=True)
class Screen:
    """Both columns, and documents that are judged and were not found."""

    words: Column
    meaning: Column
    others: list[Card]

    @property
    def cards(self) -> list[Card]:
        """All cards, in the order of the screen."""
        return [*self.words.cards, *self.meaning.cards, *self.others]

    @property
    def waits_for(self) -> list[str]:
        """The searches that are being made ready."""
        return [column.retriever for column in (self.words, self.meaning) if column.state == "building"]

    @property
    def titles(self) -> list[str]:
        """The titles of what was found."""
        return ["".join(part.text for part in card.title) for card in self.cards]


def screen_of(query: Query, find: str) -> Screen:
    """Search for `find` (the question itself, or other words) and put the grades of `query` on what is found."""
    corpus = query.project.corpus
    if corpus is None:
        nothing = Column(client.BM25, problem="There are no documents yet. Upload some first.", state="absent")
        return Screen(nothing, Column(client.BASE, state="absent"), [])
    words, meaning = _search(corpus, find, client.BM25), _search(corpus, find, client.BASE)
    judged = judgements_of([query.pk])[query.pk]
    others = [doc_id for doc_id in judged if doc_id not in {**dict(words[1]), **dict(meaning[1])}][:DEPTH]
    cards = cards_of(query.project, [doc for doc, _ in [*words[1], *meaning[1]]] + others, find, judged)
    for column, hits in (words, meaning):
        for rank, (doc_id, _) in enumerate(hits, 1):
            if doc_id in cards:
                cards[doc_id].ranks[column.retriever] = rank
    _place(words[0], words[1], cards)
    _place(meaning[0], meaning[1], cards)
    return Screen(words[0], meaning[0], [cards[doc_id] for doc_id in others if doc_id in cards])


def card_of(query: Query, doc_id: str, find: str) -> Card | None:
    """One document with its grade as it is now; None when the current version does not have it."""
    judged = judgements_of([query.pk])[query.pk]
    return cards_of(query.project, [doc_id], find, judged).get(doc_id)


def cards_of(
    project: Project, doc_ids: Iterable[str], find: str, judged: Mapping[str, Sequence[Judgement]]
) -> dict[str, Card]:
    """Cards by document, for those that the current version of the documents has."""
    cards: dict[str, Card] = {}
    for some in chunks(dict.fromkeys(doc_ids)):
        rows = Document.objects.filter(corpus=project.corpus_id, doc_id__in=some)
        for row in rows.annotate(head=Left("text", _READ), name=Left("title", _TITLE)).only("pk", "doc_id"):
            cards[row.doc_id] = _card(row, find, judged.get(row.doc_id, ()))
    return cards


def _search(corpus: Corpus, find: str, retriever: str) -> tuple[Column, list[tuple[str, float]]]:
    column = Column(retriever)
    try:
        # Asking the encoder for what it has not indexed would begin to build that; here a person decides.
        if retriever == client.BASE and (state := client.readiness(corpus)[client.BASE]) != "ready":
            column.state = state
            return column, []
        found = client.find(corpus, find, retriever=retriever, depth=DEPTH)
    except SearchUnavailable as error:
        column.problem, column.state = str(error), error.reason
        return column, []
    column.milliseconds = found.milliseconds
    return column, [(hit.doc_id, hit.score) for hit in found.hits]


def _place(column: Column, hits: Sequence[tuple[str, float]], cards: Mapping[str, Card]) -> None:
    for doc_id, _ in hits:
        card = cards.get(doc_id)
        if card is None:
            continue
        first = column.retriever == client.BM25 or card.by_words is None
        (column.cards if first else column.elsewhere).append(card)


def _card(row: Document, find: str, judged: Sequence[Judgement]) -> Card:
    text = row.head  # type: ignore[attr-defined]  # annotated
    excerpt = around(text, find, _EXCERPT)
    counts = judged[0] if judged else None
    return Card(
        number=row.pk, doc_id=row.doc_id,
        title=mark(row.name, find),  # type: ignore[attr-defined]  # annotated
        excerpt=mark(excerpt, find), rest=mark(text, find) if excerpt != text else [],
        grade=counts.grade if counts else None, seen=f"{counts.pk}.{counts.revision}" if counts else "",
        judge=str(counts.judge or "") if counts else "", opinions=len({its.judge_id for its in judged}),
        settled=bool(counts and counts.settled),
    )  # fmt: skip
