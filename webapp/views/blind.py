"""Blind comparisons in the playground: two lists without names, and what was behind them once a person has chosen."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from webapp.access import project_view
from webapp.models import Preference, Project, Role
from webapp.selectors import blind as selector
from webapp.selectors.playground_choice import LONGEST, choice_of
from webapp.selectors.preferences import tally_of
from webapp.services import preferences
from webapp.services.decisions import Conflict
from webapp.views.playground import address, sentence


@project_view(Role.REVIEWER)
@require_POST
def begin(request: HttpRequest, project: Project) -> HttpResponse:
    """Lay the two lists out, unless they are not there or no different."""
    choice, against = choice_of(project, request.POST.dict()), request.POST.get("against", "")
    back = HttpResponseRedirect(address(project, choice))
    if choice.model is None:
        messages.info(request, "There is no trained search model to compare yet.")
        return back
    lists = selector.lists_of(project, choice.model, against, choice.text)
    if choice.text and against in preferences.AGAINST and (why := selector.why_not(lists)):
        messages.info(request, why)
        return back
    try:
        row = preferences.begin(
            project=project, model=choice.model, against=against, text=choice.text, actor=request.user
        )
    except ValidationError as error:
        messages.error(request, sentence(error), extra_tags="bad")
        return back
    return redirect("playground_pair", project.slug, row.pk)


@project_view(Role.REVIEWER)
@require_GET
def pair(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """The two lists; their names only once the person has chosen. Nobody sees another one's comparison."""
    row = _own(request, project, pk)
    found = selector.pair_of(row)
    context: dict[str, Any] = {
        "current_step": "compare", "preference": row, "pair": found, "longest": LONGEST, "against": row.before,
    }  # fmt: skip
    if row.choice:
        context["tally"] = tally_of(row.experiment, row.arm, row.before)
    return render(request, "playground/blind.html", context)


@project_view(Role.REVIEWER)
@require_POST
def choose(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """Keep which list was better."""
    row = _own(request, project, pk)
    try:
        preferences.choose(preference=row, side=request.POST.get("side", ""), actor=request.user)
    except (Conflict, ValidationError) as error:
        messages.error(request, sentence(error), extra_tags="bad")
    return redirect("playground_pair", project.slug, row.pk)


def _own(request: HttpRequest, project: Project, pk: int) -> Preference:
    rows = Preference.objects.select_related("experiment")
    row = get_object_or_404(rows, project=project, person_id=request.user.pk, pk=pk)
    row.project = project
    return row
