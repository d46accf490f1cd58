"""The playground: one question, three searches side by side."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import push_url

from webapp.access import project_view
from webapp.forms.examples import GRADES, GradeForm
from webapp.models import Document, Project, Role, Split
from webapp.search import client
from webapp.search.client import SearchUnavailable
from webapp.selectors.blind import NAMES
from webapp.selectors.playground import column_of, graded_of, screen_of
from webapp.selectors.playground_choice import LONGEST, Choice, choice_of
from webapp.selectors.playground_searches import BM25, COLUMNS
from webapp.selectors.preferences import tally_of
from webapp.services import judgements, model_indexes
from webapp.services import playground as service
from webapp.services.decisions import Conflict
from webapp.services.preferences import AGAINST
from webapp.views.labelling import announce


@project_view(Role.VIEWER)
@require_GET
def playground(request: HttpRequest, project: Project) -> HttpResponse:
    """One box, three columns. The address holds the question and the model, so that it can be passed on."""
    choice = choice_of(project, request.GET.dict())
    if "model" in request.GET:
        return HttpResponseRedirect(address(project, choice))
    return render(request, "playground/playground.html", _screen(request, project, choice))


@project_view(Role.VIEWER)
@require_GET
def results(request: HttpRequest, project: Project) -> HttpResponse:
    """The columns alone; the whole page without htmx."""
    choice = choice_of(project, request.GET.dict())
    if not request.htmx:  # type: ignore[attr-defined]
        return HttpResponseRedirect(address(project, choice))
    response = render(request, "playground/_results.html", _screen(request, project, choice))
    return push_url(response, address(project, choice)) if "model" in request.GET else response


@project_view(Role.VIEWER)
@require_GET
def column(request: HttpRequest, project: Project, name: str) -> HttpResponse:
    """How a column that was not ready stands by now; once it is, it has all columns loaded anew."""
    if name not in COLUMNS:
        raise Http404("There is no such column.")
    choice = choice_of(project, request.GET.dict())
    if not request.htmx:  # type: ignore[attr-defined]
        return HttpResponseRedirect(address(project, choice))
    found = column_of(project, name, choice.model)
    context = {**_context(choice), "column": found, "is_ready": found.outcome.state == "ready"}
    response = render(request, "playground/_column.html", context)
    return announce(response, f"The search “{found.name}” is ready.") if context["is_ready"] else response


@project_view(Role.EDITOR)
@require_POST
def prepare(request: HttpRequest, project: Project) -> HttpResponse:
    """Have the documents indexed by the chosen model."""
    choice = choice_of(project, request.POST.dict())
    try:
        if choice.model is not None:
            model_indexes.prepare(found=choice.model, actor=request.user)
        elif project.corpus is not None:
            client.prepare(project.corpus, client.BASE)
        messages.info(request, "The documents are being indexed; you can close this page meanwhile.")
    except SearchUnavailable as error:
        messages.error(request, str(error), extra_tags="bad")
    return HttpResponseRedirect(address(project, choice))


@project_view(Role.REVIEWER)
@require_POST
def grade(request: HttpRequest, project: Project) -> HttpResponse:
    """Grade a document for the question that is tried, or take the grade off."""
    choice, form = choice_of(project, request.POST.dict()), GradeForm(request.POST)
    if not form.is_valid():
        messages.error(request, "That was no grade from 0 to 3. Nothing was saved.", extra_tags="bad")
        return HttpResponseRedirect(address(project, choice))
    given, problem = form.cleaned_data, ""
    document = get_object_or_404(Document.objects.only("doc_id"), corpus=project.corpus_id, pk=given["doc"])
    try:
        service.grade(
            project=project, text=choice.text, doc_id=document.doc_id, grade=given["grade"], actor=request.user,
            seen=given["seen"],
        )  # fmt: skip
    except (Conflict, ValidationError) as error:
        problem = sentence(error)
    if request.htmx:  # type: ignore[attr-defined]
        graded = graded_of(project, choice.text, document)
        context = {**_context(choice), "areas": _areas(request), "problem": problem, "graded": graded}
        response = render(request, "playground/_graded.html", context)
        return announce(response, problem or f"Saved: {judgements.words(given['grade'])}.")
    if problem:
        messages.error(request, problem, extra_tags="bad")
    return HttpResponseRedirect(f"{address(project, choice)}#hit-{_areas(request)[0][0]}-{document.pk}")


@project_view(Role.EDITOR)
@require_POST
def save(request: HttpRequest, project: Project) -> HttpResponse:
    """Make the question a test question or an example."""
    choice = choice_of(project, request.POST.dict())
    try:
        row = service.save(project=project, text=choice.text, split=request.POST.get("as", ""), actor=request.user)
    except ValidationError as error:
        messages.error(request, sentence(error), extra_tags="bad")
        return HttpResponseRedirect(address(project, choice))
    if not row.relevant:
        messages.info(request, f"Saved as {service.USES[Split(row.split)]}. Now tick the documents that answer it.")
        return redirect("example", project.slug, row.pk)
    messages.success(request, f"Saved as {service.USES[Split(row.split)]}, with its grades.", extra_tags="good")
    return HttpResponseRedirect(address(project, choice))


def address(project: Project, choice: Choice) -> str:
    """Where somebody else sees the same."""
    path = reverse("playground", args=[project.slug])
    return f"{path}?{choice.query_string}" if choice.values else path


def sentence(error: Conflict | ValidationError) -> str:
    """Why something could not be done."""
    return " ".join(error.messages) if isinstance(error, ValidationError) else str(error)


def _areas(request: HttpRequest) -> list[tuple[str, list[str]]]:
    """The columns that show the graded document, the pressed one first, each with the others."""
    pressed = request.POST.get("column", "")
    shown = [key for key in COLUMNS if key == pressed or key in request.POST.getlist("in")] or [BM25]
    shown.sort(key=lambda key: key != pressed)
    return [(key, [other for other in shown if other != key]) for key in shown]


def _context(choice: Choice) -> dict[str, Any]:
    return {"choice": choice, "grades": GRADES, "longest": LONGEST, "current_step": "compare"}


def _screen(request: HttpRequest, project: Project, choice: Choice) -> dict[str, Any]:
    model = choice.model
    tallies = [(NAMES[against], tally_of(model.experiment, model.arm, against)) for against in AGAINST] if model else []
    return {
        **_context(choice), "screen": screen_of(project, choice.text, model), "tallies": tallies,
        "whole_address": request.build_absolute_uri(address(project, choice)),
    }  # fmt: skip
