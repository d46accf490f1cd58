"""The list of examples: filters, pages, and the rows of an export."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

from django.db.models import Q, QuerySet
from django.db.models.functions import Left

from webapp.chunks import chunks
from webapp.models import Decision, Project, Query, User
from webapp.selectors.judgements import judgements_of

PAGE = 50
STRIP = 10
_TEXT = 300  # characters of a question in the list


@dataclass(frozen=True, slots=True)
class Filter:
    """Which examples: every value is checked by webapp.forms.examples.FilterForm, and empty means all."""

    text: str = ""
    split: str = ""
    status: str = ""
    origin: str = ""
    flagged: bool = False
    disputed: bool = False
    unanswered: bool = False

    def apply(self, project: Project) -> QuerySet[Query]:
        """The questions of a project that pass, unordered."""
        found = Query.objects.filter(project=project)
        if self.split:
            found = found.filter(split="" if self.split == NO_SPLIT else self.split)
        for name in ("status", "origin"):
            if value := getattr(self, name):
                found = found.filter(**{name: value})
        if self.flagged:
            found = found.filter(flagged=True)
        if self.disputed:
            found = found.filter(disputed=True)
        if self.unanswered:
            found = found.filter(relevant=0)
        if self.text:
            found = found.filter(Q(text__icontains=self.text) | Q(note__icontains=self.text))
        return found

    @property
    def is_set(self) -> bool:
        """Whether anything is left out."""
        return any(getattr(self, field.name) for field in fields(self))


NO_SPLIT = "none"
"""The filter's word for examples without a split."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some examples, newest first. `older` and `newer` are where the neighbours start, None at the ends."""

    rows: list[Query]
    older: int | None
    newer: int | None


def page(project: Project, chosen: Filter, *, before: int | None = None, after: int | None = None) -> Page:
    """A page of the list, found by the ids at its ends, so that the last page costs what the first does."""
    found = chosen.apply(project).select_related("author").annotate(short=Left("text", _TEXT)).only(*_LISTED)
    if after is not None:
        rows = list(found.filter(pk__gt=after).order_by("pk")[: PAGE + 1])
        more_newer, more_older = len(rows) > PAGE, True
        rows = rows[:PAGE][::-1]
    else:
        found = found if before is None else found.filter(pk__lt=before)
        rows = list(found.order_by("-pk")[: PAGE + 1])
        more_newer, more_older = before is not None, len(rows) > PAGE
        rows = rows[:PAGE]
    return Page(rows, rows[-1].pk if rows and more_older else None, rows[0].pk if rows and more_newer else None)


def count(project: Project, chosen: Filter, limit: int) -> int:
    """How many examples pass, counted up to `limit` + 1."""
    return chosen.apply(project).order_by().values("pk")[: limit + 1].count()


def strip(project: Project, actor: User) -> list[Decision]:
    """The person's last ten steps, newest first; `is_last` is set on the one that an undo takes back."""
    rows = list(Decision.objects.filter(project=project, actor=actor).defer("before").order_by("-pk")[:STRIP])
    last = next((row for row in rows if row.undone is None), None)
    for row in rows:
        row.is_last = row is last  # type: ignore[attr-defined]  # for the template
    return rows


def next_open(project: Project, after: int = 0) -> Query | None:
    """The oldest question that is not finished, behind row `after`; from the start again when there is none."""
    rows = Query.objects.filter(project=project, status=Query.Status.OPEN).order_by("pk")
    return rows.filter(pk__gt=after).first() or rows.exclude(pk=after).first()


@dataclass(frozen=True, slots=True)
class Pair:
    """A row of an export: a question and one judged document, or none of them (`doc_id` empty)."""

    query: Query
    doc_id: str
    grade: int | None


def pairs(project: Project, chosen: Filter) -> Iterator[Pair]:
    """All judged pairs of the examples that pass, with the grade that counts; a question without any comes once."""
    rows = chosen.apply(project).order_by("pk").iterator(chunk_size=500)
    for some in chunks(rows):
        judged = judgements_of([row.pk for row in some])
        for row in some:
            for doc_id, grades in judged[row.pk].items():
                yield Pair(row, doc_id, grades[0].grade)
            if not judged[row.pk]:
                yield Pair(row, "", None)


_LISTED = (
    "query_id", "status", "split", "split_fixed", "skip_reason", "flagged", "disputed", "relevant", "judged", "origin",
    "revision", "note", "created", "author__name", "author__email",
)  # fmt: skip
