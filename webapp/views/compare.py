"""Comparing: the experiments to choose from, one experiment's figures, its note, the pinned baseline, new figures."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from webapp.access import project_view
from webapp.forms.comparisons import NoteForm
from webapp.models import Experiment, Project, Role, State
from webapp.selectors import comparison_page as page
from webapp.selectors import measured
from webapp.selectors.question_results import arm_choices
from webapp.selectors.queues import wait_of
from webapp.services import baselines, experiments, rescoring
from webapp.views.labelling import announce


@project_view(Role.VIEWER)
@require_GET
def choose(request: HttpRequest, project: Project) -> HttpResponse:
    """The experiments that are measured, two of them to be put side by side."""
    numbers = {name: _number(request.GET.get(name, "")) for name in ("before", "after", "a", "b")}
    context = {"listing": page.list_measured(project, **numbers), "current_step": "compare"}
    return render(request, "compare/choose.html", context)


@project_view(Role.VIEWER)
@require_GET
def overview(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """One experiment: every search against the baselines, and question by question."""
    experiment = find(project, number)
    versions = measured.versions_of(experiment)
    version = page.version_named(versions, request.GET.get("judgements", ""))
    choices = arm_choices(experiment)
    arm, against = (request.GET.get(name, "") for name in ("arm", "against"))
    choice = page.choose(version, [name for name, _ in choices], arm, against)
    deltas = []
    if choice:
        scores, questions = measured.scores_of(experiment, version), measured.questions_of(experiment)
        deltas = page.deltas_of(experiment, scores, choice, questions, version)
    context = {
        "experiment": experiment, "figures": page.figures_of(experiment, version), "version": version,
        "versions": versions, "choices": choices, "choice": choice, "note": NoteForm({"note": experiment.note}),
        "plot": page.plot_of(deltas, choice) if choice else None, "current_step": "compare",
        **scoring_context(experiment, versions[0]),
    }  # fmt: skip
    return render(request, "compare/overview.html", context)


@project_view(Role.EDITOR)
@require_POST
def score(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Have the stored results measured by today's judgements."""
    experiment = find(project, number)
    try:
        rescoring.ask(experiment=experiment, actor=request.user)
    except rescoring.NothingToScore as error:
        messages.error(request, str(error), extra_tags="bad")
    return redirect("experiment_compare", project.slug, number)


@project_view(Role.VIEWER)
@require_GET
def scoring(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """How far the new figures are; the page itself without htmx."""
    experiment = find(project, number)
    if not request.htmx:  # type: ignore[attr-defined]
        return redirect("experiment_compare", project.slug, number)
    context = {"experiment": experiment, **scoring_context(experiment, measured.newest(experiment)), "is_polled": True}
    response = render(request, "compare/_scoring.html", context)
    found = context["scoring"]
    if found.is_open:
        return response
    is_new = found.state == State.DONE and found.errand.metrics.get("version")
    failed = "The new figures could not be made." if found.has_failed else "The figures stay as they are."
    return announce(response, "The new figures are ready." if is_new else failed)


@project_view(Role.EDITOR)
@require_POST
def pin(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Pin the experiment as the project's baseline, or take the pin off."""
    experiment = find(project, number)
    on = request.POST.get("pinned") == "1"
    if on or project.baseline_id == experiment.pk:
        baselines.pin(project=project, experiment=experiment if on else None, actor=request.user)
    words = f"Experiment {number} is the baseline now." if on else "The baseline is not pinned any more."
    messages.success(request, words, extra_tags="good")
    return redirect("experiment_compare", project.slug, number)


@project_view(Role.EDITOR)
@require_POST
def note(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Keep a note on the experiment."""
    experiment = find(project, number)
    form = NoteForm(request.POST)
    try:
        if not form.is_valid():
            raise ValidationError("A note has at most 5,000 characters.")
        given = {"name": experiment.name, "note": form.cleaned_data["note"]}
        experiments.describe(experiment=experiment, actor=request.user, **given)
    except ValidationError as error:
        messages.error(request, f"Not saved. {' '.join(error.messages)}", extra_tags="bad")
    else:
        messages.success(request, "The note is saved.", extra_tags="good")
    return redirect("experiment_compare", project.slug, number)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def find(project: Project, number: int) -> Experiment:
    """An experiment of the project, which it knows."""
    rows = project.experiments.select_related("corpus", "started_by", "based_on", "repeat_of")
    experiment: Experiment = get_object_or_404(rows, number=number)
    experiment.project = project
    return experiment


def scoring_context(experiment: Experiment, version: measured.Version) -> dict[str, Any]:
    """What the card about new judgements needs; `version` is the newest."""
    found = page.scoring_of(experiment, version)
    waits = wait_of(found.errand) if found.is_open and found.errand and found.errand.state == "queued" else ""
    return {"scoring": found, "waits": waits, "newest": version}
