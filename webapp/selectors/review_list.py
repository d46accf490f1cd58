"""The list of generated questions: filters and pages that cost the same over a thousand and over a million rows.

What an index answers is answered by it. All other conditions are tried on a limited number of rows, in the order of the
list; where these hold too few hits, the page says so and offers to look on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from itertools import islice
from typing import Any, NamedTuple

from django.db.models import CharField, QuerySet, Value
from django.db.models.functions import Coalesce, Left

from webapp.models import Project, WeakQuery
from webapp.prepared import Prepared
from webapp.selectors.questions import USABLE
from webapp.selectors.review_effects import WANTED
from webapp.selectors.review_likeness import likeness

PAGE = 50
LOOK = 10_000
"""Rows that one page looks at for conditions that no index answers."""
_TEXT = 300  # characters of a question in the list
NOWHERE = 100_000
"""Rank of a question whose document BM25 does not find."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which questions: every value is checked by webapp.forms.review.FilterForm, and empty means all."""

    text: str = ""
    verdict: str = ""
    """A value of Verdict, or none: not reviewed."""
    kept: str = ""
    """yes, or the reason for which it was dropped."""
    reason: str = ""
    who: int | None = None
    rank: int | None = None
    """This rank of its own document by BM25 or a worse one."""
    disputed: bool = False
    like: int | None = None
    """Id of a question."""
    how: str = ""
    """In which way it is to be like that one (webapp.review_words.LIKENESS)."""
    usable: bool = False
    """Without what clean-up dropped: no training can use it."""

    @property
    def is_set(self) -> bool:
        """Whether anything is left out."""
        return any(getattr(self, field.name) for field in fields(self))

    def as_dict(self) -> dict[str, Any]:
        """The values that are set, as an address or a row keeps them."""
        return {name: value for name, value in asdict(self).items() if value}

    def open_to(self, verdict: str) -> Filter | None:
        """Those that have no verdict yet and can get this one; None where it asks for questions that have one."""
        if self.verdict not in ("", "none") or self.reason or self.who or self.disputed:
            return None
        return replace(self, verdict="none", usable=verdict in WANTED)

    def indexed(self, rows: QuerySet[WeakQuery]) -> QuerySet[WeakQuery]:
        """The part of the filter that an index answers in the order of the ids."""
        if self.disputed:
            return rows.filter(disputed=True)
        if self.verdict:
            rows = rows.filter(verdict="" if self.verdict == "none" else self.verdict)
        if self.kept:
            rows = rows.filter(dropped="" if self.kept == "yes" else self.kept)
        return rows

    @property
    def has_rest(self) -> bool:
        """Whether anything is left to try row by row."""
        narrowed = self.disputed and (self.verdict or self.kept)
        return bool(self.text or self.reason or self.who or self.rank or self.how or self.usable or narrowed)

    def rest(self, rows: QuerySet[WeakQuery]) -> QuerySet[WeakQuery]:
        """The other conditions, written so that no index is tempted to answer them in an order of its own."""
        if self.disputed and self.verdict:
            rows = rows.annotate(said=_plain("verdict")).filter(said="" if self.verdict == "none" else self.verdict)
        if self.disputed and self.kept:
            rows = rows.annotate(why=_plain("dropped")).filter(why="" if self.kept == "yes" else self.kept)
        if self.usable:
            rows = rows.annotate(fate=_plain("dropped")).filter(fate__in=USABLE)
        if self.reason:
            rows = rows.filter(reason=self.reason)
        if self.who:
            rows = rows.annotate(who=Coalesce("reviewer_id", Value(0))).filter(who=self.who)
        if self.rank:
            rows = rows.annotate(place=Coalesce("rank", Value(NOWHERE))).filter(place__gte=self.rank)
        if self.text:
            rows = rows.filter(text__icontains=self.text)
        return rows


@dataclass(frozen=True, slots=True)
class Found:
    """Ids of questions that pass, in order. `reached` is the row to go on behind; None when there are no more."""

    ids: list[int]
    reached: int | None


class Line(NamedTuple):
    """A question as the list has it; `text` is its beginning, `reviewer` whose verdict counts."""

    pk: int
    doc_id: str
    text: str
    edited: str
    dropped: str
    verdict: str
    reason: str
    disputed: bool
    rank: int | None
    risk: float
    reviewer: str


@dataclass(frozen=True, slots=True)
class Page:
    """Some questions in the order of their ids. `following` and `previous` are where the neighbours start.

    `is_cut`: fewer than a page were found among the rows that one page looks at; there may be more.
    """

    rows: list[Line]
    following: int | None
    previous: int | None
    is_cut: bool


@dataclass(frozen=True, slots=True)
class Count:
    """How many pass: `n`, or at least so many."""

    n: int
    is_exact: bool


def matching(
    project: Project,
    batch: str,
    chosen: Filter,
    *,
    behind: int = 0,
    until: int | None = None,
    limit: int,
    look: int = LOOK,
    backwards: bool = False,
) -> Found:
    """At most `limit` questions that pass, behind row `behind` and up to `until`; looks at `look` rows at most."""
    rows = chosen.indexed(WeakQuery.objects.filter(project=project, batch=batch))
    if until is not None:
        rows = rows.filter(pk__lte=until)
    order = "-pk" if backwards else "pk"
    rows = (rows.filter(pk__lt=behind) if backwards else rows.filter(pk__gt=behind)).order_by(order)
    end = None
    if chosen.has_rest:
        end = next(iter(rows.values_list("pk", flat=True)[look - 1 : look]), None)
        if end is not None:
            rows = rows.filter(pk__gte=end) if backwards else rows.filter(pk__lte=end)
        rows = chosen.rest(rows)
    ids = list(islice(_alike(project, batch, chosen, rows, limit), limit))
    return Found(ids, ids[-1] if len(ids) == limit else end)


def page(project: Project, batch: str, chosen: Filter, *, after: int | None = None, before: int | None = None) -> Page:
    """A page of the list, found by the ids at its ends, so that the last page costs what the first does."""
    if before is not None:
        found = matching(project, batch, chosen, behind=before, limit=PAGE + 1, backwards=True)
        ids = found.ids[:PAGE][::-1]
        more = (ids[0] if len(found.ids) > PAGE else found.reached) if found.reached else None
        return Page(_rows(ids), ids[-1] if ids else before - 1, more, _is_cut(found))
    found = matching(project, batch, chosen, behind=after or 0, limit=PAGE + 1)
    ids = found.ids[:PAGE]
    more = (ids[-1] if len(found.ids) > PAGE else found.reached) if found.reached else None
    previous = (ids[0] if ids else after + 1) if after else None
    return Page(_rows(ids), more, previous, _is_cut(found))


def count(project: Project, batch: str, chosen: Filter, *, limit: int, look: int) -> Count:
    """How many pass, counted up to `limit` among the first `look` rows."""
    found = matching(project, batch, chosen, limit=limit + 1, look=look)
    return Count(min(len(found.ids), limit), found.reached is None)


def _is_cut(found: Found) -> bool:
    return found.reached is not None and len(found.ids) <= PAGE


def _rows(ids: list[int]) -> list[Line]:
    return [
        Line(*(row[name] for name in _COLUMNS), reviewer=row["reviewer__name"] or row["reviewer__email"] or "")
        for row in (_LINES.rows(*ids) if ids else ())
    ]


def _alike(project: Project, batch: str, chosen: Filter, rows: QuerySet[WeakQuery], limit: int) -> Iterator[int]:
    """The ids, those that are like the given question only when the filter says so."""
    if not chosen.how:
        yield from rows.values_list("pk", flat=True)[:limit]
        return
    model = WeakQuery.objects.filter(project=project, batch=batch, pk=chosen.like).first()
    if model is None:
        return
    is_like: Callable[[str], bool] = likeness(chosen.how, model.text)
    for pk, text in rows.values_list("pk", "text").iterator(chunk_size=2000):
        if is_like(text):
            yield pk


def _plain(name: str) -> Coalesce:
    return Coalesce(name, Value("-"), output_field=CharField())


def _line_rows(*ids: int) -> QuerySet[WeakQuery, dict[str, Any]]:
    rows = WeakQuery.objects.filter(pk__in=ids).order_by("pk").annotate(beginning=Left("text", _TEXT))
    return rows.values(*_COLUMNS, "reviewer__name", "reviewer__email")


_COLUMNS = (
    "pk", "doc_id", "beginning", "edited", "dropped", "verdict", "reason", "disputed", "rank", "risk",
)  # fmt: skip
_LINES = Prepared(_line_rows)
