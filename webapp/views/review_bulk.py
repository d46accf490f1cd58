"""One verdict on all questions of a filter: first how many and which, then done in the background, then undone."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from webapp.access import project_view
from webapp.forms.review import BulkForm
from webapp.models import Errand, Project, Role
from webapp.selectors import review_list as selector
from webapp.selectors.review_batches import batch_or_404, last_filter
from webapp.services import review_bulk as service
from webapp.services.decisions import Conflict
from webapp.views.review_list import COUNTED, LOOKED_AT, facts_of, read_filter
from webapp.views.review_pages import page_context, sentence

_SAMPLES = 5


@project_view(Role.EDITOR)
@require_http_methods(["GET", "POST"])
def bulk(request: HttpRequest, project: Project, number: int, arm: str) -> HttpResponse:
    """Preview the action of the address; sent by POST, it begins."""
    batch = batch_or_404(project, number, arm)
    data = request.POST if request.method == "POST" else request.GET
    filters, chosen = read_filter(batch, data)
    form = BulkForm(data)
    address = f"{reverse('review_list', args=[project.slug, number, arm])}?{urlencode(chosen.as_dict())}"
    if not form.is_valid():
        messages.error(request, "Choose first what to say of all that match.", extra_tags="bad")
        return redirect(address)
    if filters.errors:  # left out, as the list does it, they would widen the action
        messages.error(
            request, "A filter is not allowed (any more), so nothing was done. Filter anew.", extra_tags="bad"
        )
        return redirect(address)
    verdict, reason = form.verdict()
    if request.method == "POST":
        try:
            made = service.start(
                project=project, batch=batch.folder, chosen=chosen, verdict=verdict, reason=reason, actor=request.user
            )
        except ValidationError as error:
            messages.error(request, sentence(error), extra_tags="bad")
            return redirect(address)
        return redirect("review_bulk_status", project.slug, number, arm, made.pk)
    open_ones = chosen.open_to(verdict)
    found = selector.Found([], None)
    if open_ones is not None:
        found = selector.matching(project, batch.folder, open_ones, limit=COUNTED + 1, look=LOOKED_AT)
    context = page_context(
        request, batch, chosen=chosen, hidden=chosen.as_dict(), facts=facts_of(filters, chosen), address=address,
        count=min(len(found.ids), COUNTED), is_exact=found.reached is None, action=form.cleaned_data["action"],
        words=dict(BulkForm.base_fields["action"].choices)[form.cleaned_data["action"]],
        samples=batch.questions.filter(pk__in=found.ids[:_SAMPLES]).order_by("pk"),
        last_filter=last_filter(project, batch.folder),
    )  # fmt: skip
    return render(request, "review/bulk.html", context)


@project_view(Role.VIEWER)
@require_GET
def status(request: HttpRequest, project: Project, number: int, arm: str, pk: int) -> HttpResponse:
    """How far a bulk action is, or its undoing."""
    batch = batch_or_404(project, number, arm)
    found = get_object_or_404(project.bulk_reviews.select_related("actor"), pk=pk, batch=batch.folder)
    kind = service.UNDO_KIND if found.undone_at else service.KIND
    errand = Errand.objects.filter(kind=kind, subject=found.pk).order_by("-pk").first()
    template = "review/_bulk_status.html" if request.htmx else "review/bulk_status.html"  # type: ignore[attr-defined]
    context = page_context(request, batch, bulk=found, errand=errand, words=service.words_of(found))
    return render(request, template, context)


@project_view(Role.EDITOR)
@require_POST
def undo(request: HttpRequest, project: Project, number: int, arm: str, pk: int) -> HttpResponse:
    """Take a bulk action back."""
    batch = batch_or_404(project, number, arm)
    found = get_object_or_404(project.bulk_reviews, pk=pk, batch=batch.folder)
    try:
        service.undo(bulk=found, actor=request.user)
    except Conflict as error:
        messages.error(request, sentence(error), extra_tags="bad")
    return redirect("review_bulk_status", project.slug, number, arm, pk)
