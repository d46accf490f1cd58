"""Judging together: second opinions given blind, how far people agree, and disagreements settled."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from webapp.access import project_view
from webapp.forms.examples import GRADES, GradeForm
from webapp.models import Document, Judgement, Project, Query, Role
from webapp.selectors import agreement as selector
from webapp.selectors.examples import strip
from webapp.selectors.hits import cards_of
from webapp.selectors.judgements import judgements_of
from webapp.services import agreement as service
from webapp.services import guidelines, judgements
from webapp.services.decisions import Conflict
from webapp.views.labelling import announce

_AT_ONCE = 10
"""Questions on the page of disagreements."""


@project_view(Role.REVIEWER)
@require_GET
def together(request: HttpRequest, project: Project) -> HttpResponse:
    """On to the next question that waits for this person's opinion; none says so."""
    after = request.GET.get("after", "")
    number = int(after) if after.isdecimal() and len(after) < 19 else 0
    query = selector.next_second(project, request.user, number)
    if query is not None:
        return redirect("second", project.slug, query.pk)
    is_passed = bool(number) and selector.next_second(project, request.user) is not None
    context = {"current_step": "examples", "is_passed": is_passed}
    return render(request, "examples/together.html", context)


@project_view(Role.REVIEWER)
@require_GET
def second(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """A finished question with the documents that others judged, their grades hidden until all are given."""
    query = get_object_or_404(project.queries, pk=pk)
    return render(request, "examples/second.html", _second_context(request, query))


@project_view(Role.REVIEWER)
@require_POST
def give(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """Keep one grade of the second opinion."""
    query = get_object_or_404(project.queries, pk=pk)
    form = GradeForm(request.POST)
    if not form.is_valid() or form.cleaned_data["grade"] is None:
        messages.error(request, "That was no grade from 0 to 3. Nothing was saved.", extra_tags="bad")
        return redirect("second", project.slug, pk)
    doc = get_object_or_404(Document.objects.only("doc_id"), corpus=project.corpus_id, pk=form.cleaned_data["doc"])
    said = f"Saved: {judgements.words(form.cleaned_data['grade'])}."
    try:
        service.give_second(query=query, doc_id=doc.doc_id, grade=form.cleaned_data["grade"], actor=request.user)
    except (Conflict, ValidationError) as error:
        said = " ".join(error.messages) if isinstance(error, ValidationError) else str(error)
        messages.error(request, said, extra_tags="bad")
    if not request.htmx:  # type: ignore[attr-defined]
        return redirect(f"{reverse('second', args=[project.slug, pk])}#hit-{doc.pk}")
    return announce(render(request, "examples/_second.html", _second_context(request, query)), said)


@project_view(Role.VIEWER)
@require_GET
def agreement(request: HttpRequest, project: Project) -> HttpResponse:
    """Kappa in numbers and words, and who judged how much."""
    context = {
        "current_step": "examples", "pairings": selector.pairings(project), "people": selector.people(project),
        "disputed": project.queries.filter(disputed=True).order_by().values("pk")[:1000].count(),
    }  # fmt: skip
    return render(request, "examples/agreement.html", context)


@project_view(Role.VIEWER)
@require_GET
def disagreements(request: HttpRequest, project: Project) -> HttpResponse:
    """Questions on which people differ, with everybody's grade."""
    queries = list(project.queries.filter(disputed=True).order_by("pk")[: _AT_ONCE + 1])
    items = [_item(query) for query in queries[:_AT_ONCE]]
    context = {
        "current_step": "examples", "items": items, "grades": GRADES, "more": len(queries) > len(items),
        "decisions": strip(project, request.user), "back": reverse("disagreements", args=[project.slug]),
    }  # fmt: skip
    return render(request, "examples/disagreements.html", context)


@project_view(Role.REVIEWER)
@require_POST
def settle(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """Decide on one document; the grades that people gave stay."""
    query = get_object_or_404(project.queries, pk=pk)
    form = GradeForm(request.POST)
    if not form.is_valid() or form.cleaned_data["grade"] is None:
        messages.error(request, "That was no grade from 0 to 3. Nothing was saved.", extra_tags="bad")
        return redirect("disagreements", project.slug)
    given = form.cleaned_data
    doc = get_object_or_404(Document.objects.only("doc_id"), corpus=project.corpus_id, pk=given["doc"])
    try:
        judgements.settle(query=query, doc_id=doc.doc_id, grade=given["grade"], actor=request.user, seen=given["seen"])
    except Conflict as error:
        messages.error(request, str(error), extra_tags="bad")
    except ValidationError as error:
        messages.error(request, " ".join(error.messages), extra_tags="bad")
    else:
        messages.success(request, f"Settled as “{judgements.words(given['grade'])}”.", extra_tags="good")
    return redirect("disagreements", project.slug)


def _item(query: Query) -> dict[str, Any]:
    found = selector.disagreements(query)
    cards = cards_of(query.project, [one.doc_id for one in found], query.text, {})
    return {"query": query, "rows": [(one, cards.get(one.doc_id)) for one in found]}


def _second_context(request: HttpRequest, query: Query) -> dict[str, Any]:
    """The documents in an order that tells nothing, with this person's grades; the others' when all are given."""
    judged = {
        doc_id: [row for row in rows if not row.settled] for doc_id, rows in judgements_of([query.pk])[query.pk].items()
    }
    mine = {doc_id: row for doc_id, rows in judged.items() for row in rows if row.judge_id == request.user.pk}
    theirs: dict[str, Judgement] = {}
    for doc_id, rows in judged.items():
        for row in rows:
            if row.judge_id != request.user.pk:
                theirs.setdefault(doc_id, row)
    order = sorted(theirs, key=lambda doc_id: sha256(f"{query.pk}:{doc_id}".encode()).hexdigest())
    cards = cards_of(query.project, order, query.text, {})
    rows = [(cards[doc_id], mine.get(doc_id), theirs[doc_id]) for doc_id in order if doc_id in cards]
    missing = [card for card, own, _ in rows if own is None]
    is_over = not missing and bool(rows)
    return {
        "current_step": "examples", "query": query, "rows": rows, "grades": GRADES, "is_over": is_over,
        "left": len(missing), "agreed": sum(own is not None and own.grade == other.grade for _, own, other in rows),
        "guideline": guidelines.current(query.project), "decisions": strip(query.project, request.user),
        "back": reverse("second", args=[query.project.slug, query.pk]),
    }  # fmt: skip
