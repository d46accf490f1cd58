"""Two experiments side by side: what differs in how they were made, and whether one is better."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from webapp.access import project_view
from webapp.chart_deltas import Delta, DeltaPlot, draw_deltas, ordered
from webapp.forms.comparisons import PairForm
from webapp.models import Experiment, Project, Role, State
from webapp.selectors import comparison_page as page
from webapp.selectors import comparisons, measured
from webapp.selectors.compared_pairs import Paired, differences_of, errand_of, is_open, paired_of
from webapp.selectors.queues import wait_of
from webapp.selectors.words import arm_name
from webapp.services import pairings
from webapp.views.compare import find
from webapp.views.labelling import announce


@project_view(Role.VIEWER)
@require_GET
def runs(request: HttpRequest, project: Project) -> HttpResponse:
    """The experiments `a` (before) and `b` (after); without them on to choosing two."""
    form = PairForm(request.GET)
    if not form.is_valid():
        return redirect("compare", project.slug)
    before, after = (find(project, form.cleaned_data[name]) for name in ("a", "b"))
    if before.pk == after.pk:
        messages.info(request, "Choose two different experiments.")
        return redirect("compare", project.slug)
    paired = paired_of(before, after)
    arm = _arm(paired, request.GET.get("arm", ""))
    context = {
        **_context(before, after), "paired": paired, "arm": arm, "differences": differences_of(before, after),
        "sides": [_side(before), _side(after)], "plot": _plot(paired, arm, before, after),
    }  # fmt: skip
    return render(request, "compare/runs.html", context)


@project_view(Role.EDITOR)
@require_POST
def test(request: HttpRequest, project: Project) -> HttpResponse:
    """Have the two tested against each other, and show them."""
    form = PairForm(request.POST)
    if not form.is_valid():
        raise Http404("There are no such experiments.")
    before, after = (find(project, form.cleaned_data[name]) for name in ("a", "b"))
    if before.pk == after.pk:
        return redirect("compare", project.slug)
    try:
        if paired_of(before, after) is None:
            pairings.ask(before=before, after=after, actor=request.user)
    except pairings.NothingToCompare as error:
        messages.error(request, str(error), extra_tags="bad")
    return redirect(_address(before, after))


@project_view(Role.VIEWER)
@require_GET
def progress(request: HttpRequest, project: Project) -> HttpResponse:
    """How far the test of two experiments is; their page without htmx."""
    form = PairForm(request.GET)
    if not form.is_valid():
        raise Http404("There are no such experiments.")
    before, after = (find(project, form.cleaned_data[name]) for name in ("a", "b"))
    if not request.htmx:  # type: ignore[attr-defined]
        return redirect(_address(before, after))
    context = {**_context(before, after), "is_polled": True}
    response = render(request, "compare/_testing.html", context)
    if context["is_testing"]:
        return response
    is_done = context["errand"] is not None and context["errand"].state == State.DONE
    return announce(response, "The comparison is ready." if is_done else "The comparison was not made.")


def _context(before: Experiment, after: Experiment) -> dict[str, Any]:
    errand = errand_of(before, after)
    open_now = is_open(errand)
    return {
        "before": before, "after": after, "errand": errand, "is_testing": open_now, "address": _address(before, after),
        "waits": wait_of(errand) if errand and errand.state == State.QUEUED else "", "current_step": "compare",
    }  # fmt: skip


def _address(before: Experiment, after: Experiment) -> str:
    return f"{reverse('compare_runs', args=[after.project.slug])}?a={before.number}&b={after.number}"


def _side(experiment: Experiment) -> dict[str, Any]:
    version = measured.newest(experiment)
    return {
        "experiment": experiment, "version": version, "table": comparisons.table_of(experiment, version.comparison)
    }  # fmt: skip


def _arm(paired: Paired | None, wanted: str) -> str:
    """The arm that is drawn: the one asked for, else the last whose results differ."""
    if paired is None:
        return ""
    arms = [row.arm for row in paired.rows]
    changed = [row.arm for row in paired.rows if not row.unchanged]
    return wanted if wanted in arms else next(iter(reversed(changed or arms)), "")


def _plot(paired: Paired | None, arm: str, before: Experiment, after: Experiment) -> DeltaPlot | None:
    if paired is None or not arm:
        return None
    questions = measured.questions_of(after)
    version = measured.newest(after)
    against = "bm25" if arm != "bm25" else "zero_shot"
    choice = page.Choice(arm, against)
    address = reverse("compare_question", args=[after.project.slug, after.number])
    deltas = ordered(
        [
            Delta(query_id, questions.get(query_id, query_id)[:120], ours, theirs,
                  f"{address}?{page.query_string(query_id, choice, version)}&besides={before.number}")
            for query_id, (theirs, ours) in paired.per_query.get(arm, {}).items()
        ]
    )  # fmt: skip
    names = [f"experiment {one.number}" for one in (after, before)]
    return draw_deltas(
        key="pair", ours=names[0], theirs=names[1], measure=f"nDCG@10 of “{arm_name(arm)}”", deltas=deltas
    )
