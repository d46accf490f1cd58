"""Verdicts feed back: what they change, training again with them, and accepted questions that become examples."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from sptar_engine.errors import ConfigError
from webapp.access import project_view
from webapp.models import Experiment, Project, Role
from webapp.selectors import review_effects
from webapp.selectors.derived_plans import plan_of
from webapp.selectors.verdict_counts import BOUND
from webapp.selectors.words import plural
from webapp.services import derive, promotion
from webapp.services.decisions import Conflict
from webapp.services.experiments import NotReadyError, make_token, planned
from webapp.views.asking import newest_number, shown_number
from webapp.views.filtering import whole_batch


@project_view(Role.VIEWER)
@require_GET
def effect(request: HttpRequest, project: Project, number: int, arm: str) -> HttpResponse:
    """What the verdicts on these questions change, and the trainings that used them."""
    batch = whole_batch(project, number, arm)
    context = {
        "batch": batch, "experiment": batch.experiment, "effect": review_effects.effect_of(batch),
        "retrained": review_effects.retrained(batch), "most": BOUND, "current_step": "review",
    }  # fmt: skip
    return render(request, "feedback/_effect.html" if request.htmx else "feedback/effect.html", context)


@project_view(Role.EDITOR)
@require_http_methods(["GET", "POST"])
def retrain(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Train again with the verdicts as they are now, after a word on what that takes."""
    experiment = _experiment(project, number)
    if request.method == "POST":
        token = make_token(shown_number(request, project), "review", number)
        try:
            made = derive.with_verdicts(experiment=experiment, actor=request.user, request_token=token)
        except (NotReadyError, ConfigError) as error:
            messages.error(request, str(error), extra_tags="bad")
            return redirect("retrain", project.slug, number)
        return redirect("experiment", project.slug, made.number)
    batches = derive.batches_of(experiment)
    reviewed = review_effects.reviewed_arms(experiment, batches)
    steps = planned(experiment, [one.arm for one in reviewed])
    context = {
        "experiment": experiment, "reviewed": reviewed, "plan": plan_of(experiment, steps) if reviewed else None,
        "is_filtered": bool(batches), "arm": next(reversed(batches), ""),
        "newest": newest_number(project), "current_step": "train",
    }  # fmt: skip
    return render(request, "feedback/retrain.html", context)


@project_view(Role.EDITOR)
@require_http_methods(["GET", "POST"])
def promote_all(request: HttpRequest, project: Project, number: int, arm: str) -> HttpResponse:
    """Make examples of the accepted questions, after showing how many and which."""
    batch = whole_batch(project, number, arm)
    if request.method == "POST":
        done = promotion.promote_all(project=project, actor=request.user, batch=batch.folder)
        messages.success(request, _said(done), extra_tags="good" if done.made else "")
        return redirect("review_effect", project.slug, number, arm)
    found = review_effects.least_risky(project, batch.folder, promotion.MAX_AT_ONCE + 1)
    count = min(len(found), promotion.MAX_AT_ONCE)
    context = {
        "batch": batch, "experiment": batch.experiment, "count": count, "has_more": len(found) > count,
        "sample": found[:10], "current_step": "review",
    }  # fmt: skip
    return render(request, "feedback/promote.html", context)


@project_view(Role.EDITOR)
@require_POST
def promote(request: HttpRequest, project: Project, number: int, arm: str, pk: int) -> HttpResponse:
    """Make an example of one question, and go back to the page that asked (`next`)."""
    batch = whole_batch(project, number, arm)
    weak = get_object_or_404(batch.questions, pk=pk)
    try:
        made = promotion.promote(project=project, actor=request.user, weak=weak)
    except (ValidationError, Conflict) as error:
        words = " ".join(error.messages) if isinstance(error, ValidationError) else str(error)
        messages.error(request, words, extra_tags="bad")
    else:
        messages.success(request, f"“{made.text}” is a training example now.", extra_tags="good")
    back = request.POST.get("next", "")
    if back.startswith("/") and url_has_allowed_host_and_scheme(back, allowed_hosts=None):
        return redirect(back)
    return redirect("review_effect", project.slug, number, arm)


def _experiment(project: Project, number: int) -> Experiment:
    experiment: Experiment = get_object_or_404(project.experiments.select_related("corpus"), number=number)
    experiment.project = project
    return experiment


def _said(done: promotion.Promoted) -> str:
    words = [f"{done.made} {plural(done.made, 'question')} became training {plural(done.made, 'example')}."]
    if done.known:
        words.append(f"{done.known} {'was' if done.known == 1 else 'were'} among the examples already.")
    if done.made:
        words.append("You can undo this under “Your last steps” of the examples.")
    return " ".join(words)
