"""What a reviewer sees of one generated question: its document with the matching words marked, the last steps."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import OuterRef, QuerySet
from django.db.models.functions import Left
from django.urls import reverse

from webapp.marks import Part, mark
from webapp.models import Document, Project, ReviewStep, User, Verdict, WeakQuery
from webapp.prepared import Prepared
from webapp.selectors.questions import REASONS, USABLE
from webapp.selectors.review_batches import Batch
from webapp.selectors.verdict_counts import Counted

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
    wanted, corpus = set(ids), batch.experiment.corpus_id
    return {row["doc_id"]: row["short"] for row in _TITLES.rows(corpus, *wanted)} if wanted and corpus else {}


def strip(batch: Batch, actor: User) -> list[dict[str, Any]]:
    """The person's last ten steps, newest first, for the template.

    `is_last` is the one that an undo takes back, `said` the verdict in words, `address` where the step is undone.
    """
    rows = _STEPS.rows(batch.project.pk, actor.pk, batch.folder)
    place = [batch.project.slug, batch.experiment.number, batch.arm, 0]
    steps_at = reverse("review_undo", args=place).removesuffix("0/undo/")
    last = next((row for row in rows if row["undone"] is None), None)
    for row in rows:
        said, address = Verdict(row["verdict"]).label, f"{steps_at}{row['pk']}/undo/"
        row |= {"is_last": row is last, "said": said, "address": address}
    return rows


def unreviewed(batch: Batch) -> int:
    """Kept questions without a verdict, counted up to a thousand and one."""
    (row,) = _UNREVIEWED.rows(batch.project.pk, batch.folder)
    return int(row["n"])


def _title_rows(corpus: int, *ids: str) -> QuerySet[Document, dict[str, Any]]:
    rows = Document.objects.filter(corpus=corpus, doc_id__in=ids)
    return rows.annotate(short=Left("title", _TITLE)).values("doc_id", "short")


def _step_rows(project: int, actor: int, folder: str) -> QuerySet[ReviewStep, dict[str, Any]]:
    rows = ReviewStep.objects.filter(project=project, actor=actor, weak__batch=folder)
    shown = rows.annotate(short=Left("weak__text", 60)).values("pk", "verdict", "undone", "short")
    return shown.order_by("-pk")[:STRIP]


def _unreviewed_rows(project: int, folder: str) -> QuerySet[Project, dict[str, Any]]:
    rows = WeakQuery.objects.filter(project=OuterRef("pk"), batch=folder, dropped="", verdict="").order_by()
    return Project.objects.filter(pk=project).annotate(n=Counted(rows.values("pk")[: _MANY + 1])).values("n")


_TITLES = Prepared(_title_rows)
_STEPS = Prepared(_step_rows)
_UNREVIEWED = Prepared(_unreviewed_rows)
