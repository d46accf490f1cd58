"""Reviewing together: how far people agree, who did how much, and disagreements settled."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from webapp.access import project_view
from webapp.forms.review import VerdictForm
from webapp.models import Project, Role
from webapp.review_words import verdict_words
from webapp.selectors import review_agreement as selector
from webapp.selectors.review_batches import batch_or_404
from webapp.selectors.review_cards import card_of
from webapp.selectors.review_verdicts import state_of
from webapp.services import reviews
from webapp.services.decisions import Conflict
from webapp.views.review_pages import page_context, sentence


@project_view(Role.VIEWER)
@require_GET
def agreement(request: HttpRequest, project: Project, number: int, arm: str) -> HttpResponse:
    """Kappa in numbers and words, and who reviewed how much."""
    batch = batch_or_404(project, number, arm)
    context = page_context(
        request, batch, pairings=selector.pairings(project, batch.folder),
        people=selector.people(project, batch.folder), disputed=selector.disputed(project, batch.folder),
    )  # fmt: skip
    return render(request, "review/agreement.html", context)


@project_view(Role.VIEWER)
@require_GET
def disagreements(request: HttpRequest, project: Project, number: int, arm: str) -> HttpResponse:
    """Questions on which people differ, with everybody's verdict."""
    batch = batch_or_404(project, number, arm)
    found, more = selector.disagreements(project, batch.folder)
    items = [(one, card_of(batch, one.weak), state_of(one.all_reviews)) for one in found]
    return render(request, "review/disagreements.html", page_context(request, batch, items=items, more=more))


@project_view(Role.REVIEWER)
@require_POST
def settle(request: HttpRequest, project: Project, number: int, arm: str, pk: int) -> HttpResponse:
    """Decide on one question; the verdicts that people gave stay."""
    batch = batch_or_404(project, number, arm)
    weak = get_object_or_404(batch.questions, pk=pk)
    form = VerdictForm(request.POST)
    try:
        if not form.is_valid():
            raise ValidationError("That was no verdict that can be kept. Nothing was saved; press once more.")
        given = form.cleaned_data
        made = reviews.settle(
            project=project, actor=request.user, weak=weak, verdict=given["verdict"], reason=given["reason"],
            text=given["text"], seen=given["seen"],
        )  # fmt: skip
    except (Conflict, ValidationError) as error:
        messages.error(request, sentence(error), extra_tags="bad")
    else:
        messages.success(request, f"Settled: {verdict_words(made.verdict, made.reason)}.", extra_tags="good")
    return redirect("review_disagreements", project.slug, number, arm)
