"""The BM25 filter: what another threshold would keep, and starting an experiment with it."""

from __future__ import annotations

from copy import copy

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from sptar_engine.errors import ConfigError
from webapp.access import project_view
from webapp.forms.feedback import MAX_K, ThresholdForm
from webapp.models import Project, Role
from webapp.selectors import filtering
from webapp.selectors.derived_plans import DerivedPlan, plan_of
from webapp.selectors.review_batches import Batch, batch_or_404
from webapp.services import derive
from webapp.services.experiments import NotReadyError, make_token, planned, reviewed_arms
from webapp.views.asking import newest_number, shown_number


@project_view(Role.VIEWER)
@require_GET
def what_if(request: HttpRequest, project: Project, number: int, arm: str) -> HttpResponse:
    """The threshold as a slider: counts, the curve, the questions next to the line. Asked by htmx, the result alone."""
    batch = whole_batch(project, number, arm)
    generated, filtered = filtering.stages_of(batch)
    form = ThresholdForm(request.GET)
    k = form.cleaned_data["k"] if form.is_valid() else None
    found = filtering.what_if(batch.experiment, generated, filtered, k) if generated and filtered else None
    why_not = filtering.why_not_changed(batch.experiment) if found else ""
    context = {
        "batch": batch, "experiment": batch.experiment, "found": found, "filtered": filtered,
        "fixed": filtering.why_no_threshold(filtered),
        "why_not": why_not, "plan": _plan(batch, found.k) if found and not why_not else None,
        "newest": newest_number(project), "current_step": "generate",
    }  # fmt: skip
    # Back in the browser asks for the whole page, by htmx too.
    is_part = request.htmx and not request.htmx.history_restore_request
    return render(request, "feedback/_what_if.html" if is_part else "feedback/filter.html", context)


@project_view(Role.EDITOR)
@require_POST
def use(request: HttpRequest, project: Project, number: int, arm: str) -> HttpResponse:
    """Start an experiment with this threshold; everything before the filter comes back."""
    batch = whole_batch(project, number, arm)
    form = ThresholdForm(request.POST)
    if not form.is_valid():
        messages.error(request, f"The threshold is a whole number from 1 to {MAX_K}.", extra_tags="bad")
        return redirect("filter", project.slug, number, arm)
    k = form.cleaned_data["k"]
    token = make_token(shown_number(request, project), "threshold", number, k)
    try:
        made = derive.with_threshold(experiment=batch.experiment, actor=request.user, request_token=token, top_k=k)
    except (NotReadyError, ConfigError) as error:
        messages.error(request, str(error), extra_tags="bad")
        return redirect("filter", project.slug, number, arm)
    text = f"Experiment {made.number} filters the same questions with the threshold {k} and trains again."
    messages.success(request, text, extra_tags="busy")
    return redirect("experiment", project.slug, made.number)


def whole_batch(project: Project, number: int, arm: str) -> Batch:
    """The questions that the address names, their experiment with all of its columns."""
    batch = batch_or_404(project, number, arm)
    batch.experiment.refresh_from_db()
    batch.experiment.project = project
    return batch


def _plan(batch: Batch, k: int) -> DerivedPlan:
    experiment = batch.experiment
    changed = copy(experiment)
    changed.settings = derive.merge_settings(experiment, {"filter": {"top_k": k}})
    return plan_of(experiment, planned(changed, reviewed_arms(experiment)))
