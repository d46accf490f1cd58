"""Documents as the pages show them: a page of the list, hits of a search, one document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Left, Length

from webapp.marks import mark
from webapp.models import Corpus, Document, Judgement, Project
from webapp.search import client

PAGE = 50
SHOWN_TEXT = 100_000
"""Characters of one document that its page shows."""

_BEGINNING, _HEADING = 280, 200  # characters of text and title in a list
_LOOKED_AT = 5000  # characters of a hit in which matching words are looked for
_BEFORE_MATCH = 80  # characters shown before the first match

Segment = tuple[str, bool]
"""A piece of text and whether it matches; templates escape the text and put the mark round it."""


@dataclass(frozen=True, slots=True)
class Row:
    """A document in a list, its texts shortened."""

    pk: int
    doc_id: str
    heading: str
    beginning: str
    source_id: str


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the list. `after` and `before` are what the next and the previous page begin at, or None."""

    rows: list[Row]
    after: int | None
    before: int | None


@dataclass(frozen=True, slots=True)
class FoundDocument:
    """A hit of a search with its matching words."""

    pk: int
    doc_id: str
    heading: list[Segment]
    snippet: list[Segment]


@dataclass(frozen=True, slots=True)
class Results:
    """Hits, best first."""

    hits: list[FoundDocument]
    milliseconds: float


def page(corpus: Corpus, *, after: int | None = None, before: int | None = None) -> Page:
    """A page of documents in their order, by key: as fast at the end of a million as at the beginning."""
    rows = Document.objects.filter(corpus=corpus)
    if before is not None:
        found = list(reversed(_short(rows.filter(id__lt=before).order_by("-id"))))
        has_before, has_after = len(found) > PAGE, True
        found = found[-PAGE:]
    else:
        found = _short(rows.filter(id__gt=after or 0).order_by("id"))
        has_before, has_after = after is not None, len(found) > PAGE
        found = found[:PAGE]
    if not found:
        return Page([], None, None)
    return Page(found, found[-1].pk if has_after else None, found[0].pk if has_before else None)


def search(corpus: Corpus, text: str, depth: int = 20) -> Results:
    """Search the version by BM25. Raises webapp.search.client.SearchUnavailable."""
    found = client.find(corpus, text, retriever=client.BM25, depth=depth)
    rows = Document.objects.filter(corpus=corpus, doc_id__in=[hit.doc_id for hit in found.hits])
    columns = rows.annotate(heading=Left("title", _HEADING), beginning=Left("text", _LOOKED_AT))
    known = {row["doc_id"]: row for row in columns.values("id", "doc_id", "heading", "beginning")}
    hits = [_hit(known[hit.doc_id], text) for hit in found.hits if hit.doc_id in known]
    return Results(hits, found.milliseconds)


def one(project: Project, pk: int) -> Document:
    """A document of any version of the project, its text shortened to SHOWN_TEXT; `length` is the whole one's.

    Raises Document.DoesNotExist.
    """
    return shortened(Document.objects.filter(corpus__project=project).select_related("corpus")).get(pk=pk)


def shortened(rows: QuerySet[Document]) -> QuerySet[Document]:
    """Each with the first SHOWN_TEXT characters of its text as `shown` and the `length` of the whole one."""
    return rows.defer("text").annotate(shown=Left("text", SHOWN_TEXT), length=Length("text"))


def neighbours(document: Document) -> tuple[int | None, int | None]:
    """The documents before and after one, in the order of the list."""
    rows = Document.objects.filter(corpus=document.corpus_id)
    before = rows.filter(id__lt=document.pk).order_by("-id").values_list("id", flat=True).first()
    after = rows.filter(id__gt=document.pk).order_by("id").values_list("id", flat=True).first()
    return before, after


def judged_but_gone(project: Project, corpus: Corpus) -> int:
    """How many judged documents are not in a version, so that their judgements count for nothing with it."""
    there = Document.objects.filter(corpus=corpus, doc_id=OuterRef("doc_id"))
    judged = Judgement.objects.filter(~Exists(there), query__project=project)
    return judged.values("doc_id").distinct().count()


def _hit(row: dict[str, Any], query: str) -> FoundDocument:
    segments = _marked(row["beginning"], query)
    return FoundDocument(row["id"], row["doc_id"], _marked(row["heading"], query), _window(segments))


def _marked(text: str, query: str) -> list[Segment]:
    return [(part.text, part.hit) for part in mark(text, query)]


def _window(segments: list[Segment]) -> list[Segment]:
    """A few lines round the first match, or the beginning."""
    first = next((number for number, (_, is_match) in enumerate(segments) if is_match), 0)
    kept: list[Segment] = []
    room = _BEGINNING
    if first:
        lead = segments[first - 1][0]
        cut = lead[-_BEFORE_MATCH:]
        kept.append(("…" + cut if first > 1 or len(cut) < len(lead) else cut, False))
        room -= len(cut)
    for text, is_match in segments[first:]:
        if room <= 0:
            break
        kept.append((text[:room] + ("…" if len(text) > room else ""), is_match))
        room -= len(text)
    return kept


def _short(rows: QuerySet[Document]) -> list[Row]:
    columns = rows.annotate(heading=Left("title", _HEADING), beginning=Left("text", _BEGINNING))
    found = columns.values_list("id", "doc_id", "heading", "beginning", "source_id")[: PAGE + 1]
    return [Row(*row) for row in found]
