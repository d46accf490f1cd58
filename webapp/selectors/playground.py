"""What the playground shows: one question, three searches side by side, and how documents moved between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from string import ascii_uppercase

from django.db.models.functions import Left

from sptar_engine.data.query_text import normalised
from webapp.chunks import chunks
from webapp.marks import Part, around, mark
from webapp.models import Document, Errand, Judgement, Project, Query, State
from webapp.selectors.judgements import judgements_of
from webapp.selectors.playground_searches import AFTER, BEFORE, BM25, COLUMNS, DEPTH, Outcome, search, searches_of
from webapp.selectors.trained_models import TrainedModel
from webapp.selectors.words import plural

SHOWN = 10
"""Documents of each column."""
WORDS = {
    BM25: ("Keywords", "BM25", "finds the words of the question"),
    BEFORE: ("Before training", "untrained encoder", "the search model as it came"),
    AFTER: ("After training", "retriever", "the search model that learned from your examples"),
}
"""What a column is called, the field's word for it, and what it does."""

_READ = 3000  # characters of a document in which matching words are looked for
_EXCERPT, _TITLE = 260, 300  # characters that are shown


@dataclass(frozen=True, slots=True)
class Move:
    """How a document moved by training: `sign` for the eye, `words` for everybody."""

    kind: str
    sign: str
    words: str


@dataclass(frozen=True, slots=True)
class Also:
    """Where another column has the same document; `shown` when it is on the page there."""

    key: str
    rank: int
    shown: bool

    @property
    def name(self) -> str:
        """What that column is called."""
        return WORDS[self.key][0]


@dataclass(frozen=True, slots=True)
class Graded:
    """The grade of a document for the question, if it has one; `seen` names it as it is now."""

    number: int
    grade: int | None
    seen: str
    judge: str


@dataclass(slots=True)
class Hit:
    """A document in a column. `number` is its row's id; `letter` is its mark where several columns show it."""

    number: int
    doc_id: str
    rank: int
    title: list[Part]
    excerpt: list[Part]
    graded: Graded
    letter: str = ""
    move: Move | None = None
    also: list[Also] = field(default_factory=list)

    @property
    def where(self) -> list[str]:
        """The other columns that show it."""
        return [other.key for other in self.also if other.shown]


@dataclass(slots=True)
class Column:
    """One search with its hits, or why it has none."""

    key: str
    outcome: Outcome
    hits: list[Hit] = field(default_factory=list)
    preparing: bool = False
    """Somebody has asked for its index and no worker has begun."""

    @property
    def name(self) -> str:
        """What it is called."""
        return WORDS[self.key][0]

    @property
    def technical(self) -> str:
        """The field's word for it."""
        return WORDS[self.key][1]

    @property
    def does(self) -> str:
        """What it does."""
        return WORDS[self.key][2]

    @property
    def waits(self) -> bool:
        """Whether it may become ready by itself, so that the page looks again."""
        return self.preparing or self.outcome.state in ("building", "busy", "down", "slow")

    @property
    def percent(self) -> int | None:
        """How much of its index is built."""
        done, total = self.outcome.done, self.outcome.total
        return 100 * done // total if total and self.outcome.state == "building" else None


@dataclass(slots=True)
class Screen:
    """The columns for one question, and what people said of it before."""

    text: str
    columns: list[Column]
    query: Query | None = None

    @property
    def is_example(self) -> bool:
        """Whether the question is one of the examples, which are judged on a page of their own."""
        return self.query is not None and self.query.status != Query.Status.SKIPPED

    @property
    def is_whole(self) -> bool:
        """Whether all columns that there can be have searched."""
        return all(column.outcome.state in ("ready", "missing") for column in self.columns)


def screen_of(project: Project, text: str, model: TrainedModel | None) -> Screen:
    """Search in all three columns at once. Without a text only tells which of them could search."""
    outcomes = search(project, text, searches_of(model))
    screen = Screen(text, [Column(key, outcomes[key]) for key in COLUMNS])
    _note_errand(screen.columns, model)
    if not text:
        return screen
    screen.query = find_query(project, text)
    _fill(project, screen, outcomes)
    return screen


def column_of(project: Project, name: str, model: TrainedModel | None) -> Column:
    """How one column stands, without searching."""
    outcome = search(project, "", {name: searches_of(model).get(name)})[name]
    column = Column(name, outcome)
    _note_errand([column], model)
    return column


def move_of(before: int | None, now: int) -> Move:
    """How a document that stands at `now` moved; `before` is its place by the untrained model, if it had one."""
    if before is None:
        return Move("new", "new", f"new here: not among the first {DEPTH} before training")
    places = abs(before - now)
    if before > now:
        return Move("up", f"▲ {places}", f"moved up {places} {plural(places, 'place')}, from {before} to {now}")
    if before < now:
        return Move("down", f"▼ {places}", f"moved down {places} {plural(places, 'place')}, from {before} to {now}")
    return Move("same", "=", "in the same place as before training")


def documents_of(project: Project, doc_ids: Sequence[str]) -> dict[str, Document]:
    """The beginnings of documents of the current version by id."""
    found: dict[str, Document] = {}
    for some in chunks(dict.fromkeys(doc_ids)):
        rows = Document.objects.filter(corpus=project.corpus_id, doc_id__in=some)
        for row in rows.annotate(head=Left("text", _READ), name=Left("title", _TITLE)).only("pk", "doc_id"):
            found[row.doc_id] = row
    return found


def plain_hits(project: Project, ranking: Sequence[str], text: str) -> list[Hit]:
    """A ranking with nothing that tells where it comes from, for a blind comparison."""
    documents = documents_of(project, ranking[:SHOWN])
    ranked = enumerate(ranking[:SHOWN], 1)
    return [_hit(documents[doc_id], rank, text, ()) for rank, doc_id in ranked if doc_id in documents]


def find_query(project: Project, text: str) -> Query | None:
    """The question as people wrote or tried it before, however it is spelled (webapp.services.queries.text_key)."""
    key = sha256(normalised(text).encode()).hexdigest()
    return Query.objects.filter(project=project, normalised=key).first()


def graded_of(project: Project, text: str, document: Document) -> Graded:
    """The grade of one document as it is now."""
    query = find_query(project, text)
    judged = judgements_of([query.pk])[query.pk].get(document.doc_id, []) if query else []
    return _graded(document.pk, judged)


def _fill(project: Project, screen: Screen, outcomes: Mapping[str, Outcome]) -> None:
    """Put the documents into the columns, each knowing where the others have it."""
    found = {key: list(outcomes[key].ranking[:SHOWN]) for key in COLUMNS}
    places = {key: {doc_id: rank for rank, doc_id in enumerate(outcomes[key].ranking, 1)} for key in COLUMNS}
    documents = documents_of(project, [doc_id for ids in found.values() for doc_id in ids])
    judged = judgements_of([screen.query.pk])[screen.query.pk] if screen.query else {}
    letters = _letters(found)
    for column in screen.columns:
        others = [key for key in COLUMNS if key != column.key]
        for rank, doc_id in enumerate(found[column.key], 1):
            if doc_id not in documents:
                continue
            hit = _hit(documents[doc_id], rank, screen.text, judged.get(doc_id, ()))
            hit.letter = letters.get(doc_id, "")
            hit.also = [Also(key, places[key][doc_id], doc_id in found[key]) for key in others if doc_id in places[key]]
            if column.key == AFTER and outcomes[BEFORE].state == "ready":
                hit.move = move_of(places[BEFORE].get(doc_id), rank)
            column.hits.append(hit)


def _letters(found: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """A letter for each document that several columns show, in the order in which they are read."""
    counts: dict[str, int] = {}
    for ids in found.values():
        for doc_id in ids:
            counts[doc_id] = counts.get(doc_id, 0) + 1
    shared = (doc_id for doc_id, count in counts.items() if count > 1)
    return dict(zip(shared, ascii_uppercase, strict=False))


def _hit(row: Document, rank: int, text: str, judged: Sequence[Judgement]) -> Hit:
    head = row.head  # type: ignore[attr-defined]  # annotated
    return Hit(
        number=row.pk, doc_id=row.doc_id, rank=rank,
        title=mark(row.name, text),  # type: ignore[attr-defined]  # annotated
        excerpt=mark(around(head, text, _EXCERPT), text), graded=_graded(row.pk, judged),
    )  # fmt: skip


def _graded(number: int, judged: Sequence[Judgement]) -> Graded:
    if not judged:
        return Graded(number, None, "", "")
    counts = judged[0]
    return Graded(number, counts.grade, f"{counts.pk}.{counts.revision}", str(counts.judge or "an import"))


def _note_errand(columns: Sequence[Column], model: TrainedModel | None) -> None:
    absent = [column for column in columns if column.outcome.state in ("absent", "failed")]
    if model is None or not absent:
        return
    rows = Errand.objects.filter(kind="model.index", subject=model.stage.pk)
    if rows.filter(state__in=[State.QUEUED, State.RUNNING]).exists():
        for column in absent:
            column.preparing = True
