"""What a reviewer sees of one generated question: its document with the matching words marked, the last steps."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models.functions import Left

from webapp.marks import Part, mark
from webapp.models import Document, ReviewStep, User, WeakQuery
from webapp.selectors.questions import REASONS, USABLE
from webapp.selectors.review_batches import Batch

STRIP = 10
_READ = 6000  # characters of a document on a card
_TITLE = 300
_MANY = 1000  # questions that wait are counted up to here


@dataclass(frozen=True, slots=True)
class Card:
    """A question with its document. `document` is the row that a link leads to, None where there is no page for it."""

    weak: WeakQuery
    document: int | None
    title: list[Part]
    text: list[Part]
    is_cut: bool
    """The document goes on."""
    dropped: str
    """Why clean-up or filter dropped it, in words."""

    @property
    def is_usable(self) -> bool:
        """Whether a training can use it; not when clean-up dropped it."""
        return self.weak.dropped in USABLE

    @property
    def surprise(self) -> float:
        """Perplexity: out of how many words the question writer seems to have picked each one."""
        return math.exp(self.weak.loss or 0.0)

    @property
    def has_document(self) -> bool:
        """Whether the document was found."""
        return bool(self.title or self.text)


def card_of(batch: Batch, weak: WeakQuery) -> Card:
    """The card of one question. One query."""
    rows = Document.objects.filter(corpus=batch.experiment.corpus_id, doc_id=weak.doc_id)
    row = rows.annotate(head=Left("text", _READ + 1), name=Left("title", _TITLE)).only("pk").first()
    dropped = REASONS.get(weak.dropped, weak.dropped)
    if row is None:
        return Card(weak, None, [], [], False, dropped)
    is_current = batch.experiment.corpus_id == batch.project.corpus_id
    head: str = row.head  # type: ignore[attr-defined]  # annotated
    return Card(
        weak=weak, document=row.pk if is_current else None,
        title=mark(row.name, weak.text),  # type: ignore[attr-defined]  # annotated
        text=mark(head[:_READ], weak.text), is_cut=len(head) > _READ, dropped=dropped,
    )  # fmt: skip


def titles(batch: Batch, ids: Iterable[str]) -> dict[str, str]:
    """Titles of some documents by their ids. One query."""
    found = Document.objects.filter(corpus=batch.experiment.corpus_id, doc_id__in=set(ids))
    return dict(found.annotate(short=Left("title", _TITLE)).values_list("doc_id", "short"))


def strip(batch: Batch, actor: User) -> list[ReviewStep]:
    """The person's last ten steps, newest first; `is_last` is set on the one that an undo takes back."""
    steps = ReviewStep.objects.filter(project=batch.project, actor=actor, weak__batch=batch.folder)
    rows = list(steps.annotate(short=Left("weak__text", 60)).defer("before").order_by("-pk")[:STRIP])
    last = next((row for row in rows if row.undone is None), None)
    for row in rows:
        row.is_last = row is last  # type: ignore[attr-defined]  # for the template
    return rows


def unreviewed(batch: Batch) -> int:
    """Kept questions without a verdict, counted up to a thousand and one."""
    rows = batch.questions.filter(dropped="", verdict="")
    return rows.order_by().values("pk")[: _MANY + 1].count()
