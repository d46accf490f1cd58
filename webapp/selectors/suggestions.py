"""Which document to ask about next, and why that one."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Max, Min

from webapp.models import Document, Judgement, Project, SkippedDocument
from webapp.search import client
from webapp.search.client import SearchUnavailable
from webapp.selectors.judgements import MIN_GRADE

_KNOWN = 5000  # newest judged documents that are told to the search service


@dataclass(frozen=True, slots=True)
class Suggested:
    """A document, and the reason in a sentence."""

    document: Document
    why: str


def suggest(project: Project, *, after: int = 0) -> Suggested | None:
    """A document of a topic that has the fewest examples, else one at random; None when all are used up.

    `after` is the row of a document that is passed over without a word.
    """
    if project.corpus is None:
        return None
    judged, skipped = _judged(project), _skipped(project)
    passed = list(Document.objects.filter(corpus=project.corpus, pk=after).values_list("doc_id", flat=True))
    try:
        found = client.suggest(project.corpus, exclude=[*judged, *skipped, *passed], n=1, covered=judged)
    except SearchUnavailable as error:
        return _at_random(project, {*judged, *skipped, *passed}, f"Picked at random. {error}")
    for suggestion in found:
        document = Document.objects.filter(corpus=project.corpus, doc_id=suggestion.doc_id).first()
        if document is not None:
            return Suggested(document, _why(project, suggestion, judged))
    return _at_random(project, {*judged, *skipped, *passed}, "Picked at random.")


def _why(project: Project, suggestion: client.Suggestion, judged: Sequence[str]) -> str:
    if suggestion.topic is None or project.corpus is None:
        return "Picked at random: the topics of the documents are not known yet."
    try:
        topics = client.topics_of(project.corpus, judged) if judged else {}
    except SearchUnavailable:
        topics = {}
    count = sum(topic == suggestion.topic.id for topic in topics.values())
    has = "has no example yet" if not count else f"has {count} example{'s' if count > 1 else ''} so far"
    return f"Topic “{suggestion.topic.label}” {has}."


def _judged(project: Project) -> list[str]:
    rows = Judgement.objects.filter(query__project=project, grade__gte=MIN_GRADE).order_by("-pk")
    return list(dict.fromkeys(rows.values_list("doc_id", flat=True)[:_KNOWN]))


def _skipped(project: Project) -> list[str]:
    rows = SkippedDocument.objects.filter(project=project).order_by("-pk")
    return list(rows.values_list("doc_id", flat=True)[:_KNOWN])


def _at_random(project: Project, used: set[str], why: str) -> Suggested | None:
    rows = Document.objects.filter(corpus=project.corpus_id)
    ends = rows.aggregate(first=Min("pk"), last=Max("pk"))
    if ends["first"] is None:
        return None
    start = random.randint(ends["first"], ends["last"])
    for part in (rows.filter(pk__gte=start), rows.filter(pk__lt=start)):
        # Among one more than are used there is an unused one, if the part has one at all.
        for document in part.order_by("pk")[: len(used) + 1].iterator(chunk_size=50):
            if document.doc_id not in used:
                return Suggested(document, why)
    return None
