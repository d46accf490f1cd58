"""One test question: what keyword search, the untrained and the trained model found, and judging what nobody has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.exceptions import BadRequest, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from webapp.access import project_view
from webapp.chart_deltas import Delta
from webapp.forms.comparisons import PairForm, ResultGradeForm
from webapp.forms.examples import GRADES
from webapp.models import Document, Experiment, Project, Role
from webapp.selectors import comparison_page as page
from webapp.selectors import measured
from webapp.selectors.examples import strip
from webapp.selectors.measured import Version
from webapp.selectors.question_results import Results, arms_shown, results_of
from webapp.services import guidelines, judgements
from webapp.services.decisions import Conflict
from webapp.views.compare import find
from webapp.views.labelling import announce

SOURCE = "unjudged"
"""The source of grades that are given here."""


@project_view(Role.VIEWER)
@require_GET
def question(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """The results side by side. The question is named by `id`, the trained search by `arm`."""
    experiment = find(project, number)
    shown = _shown(experiment, request.GET)
    context = {**_context(request, shown), "besides": _besides(shown, request.GET.get("besides", ""))}
    return render(request, "compare/question.html", context)


@project_view(Role.REVIEWER)
@require_POST
def judge(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Grade a result. It counts in the figures once they are brought up to date."""
    experiment = find(project, number)
    form = ResultGradeForm(request.POST)
    if not form.is_valid():
        raise BadRequest("That was no grade from 0 to 3 for a document of this page. Nothing was saved.")
    given = form.cleaned_data
    shown = _shown(experiment, given)
    doc = get_object_or_404(Document.objects.only("doc_id"), corpus=project.corpus_id, pk=given["doc"])
    problem = _grade(request, shown.results, doc.doc_id, given)
    if problem:
        messages.error(request, problem, extra_tags="bad")
    if not request.htmx:  # type: ignore[attr-defined]
        return redirect(f"{_address(shown)}#hit-{doc.pk}")
    context = {**_context(request, _shown(experiment, given)), "refused": doc.pk if problem else 0}
    said = problem or f"Saved: {judgements.words(given['grade'])}."
    return announce(render(request, "compare/_results.html", context), said)


def _grade(request: HttpRequest, results: Results, doc_id: str, given: Mapping[str, Any]) -> str:
    """Keep the grade. Returns why it was not kept, or nothing."""
    if results.problem or results.query is None:
        return results.problem
    if doc_id not in {card.doc_id for card in results.to_judge}:
        return "This document is not among the results that wait to be judged here. Nothing was saved."
    try:
        judgements.grade(
            query=results.query, doc_id=doc_id, grade=given["grade"], actor=request.user, seen=given["seen"],
            source=SOURCE,
        )  # fmt: skip
    except Conflict as error:
        return str(error)
    except ValidationError as error:
        return " ".join(error.messages)
    return ""


@dataclass(frozen=True, slots=True)
class _Shown:
    """What an address shows: a question of an experiment under two searches, by some judgements."""

    experiment: Experiment
    version: Version
    choice: page.Choice
    results: Results
    order: list[Delta]


def _shown(experiment: Experiment, chosen: Mapping[str, Any]) -> _Shown:
    """The question that `chosen` names. Raises Http404 when it is no test question of the experiment."""
    query_id = chosen.get("id") or ""
    questions = measured.questions_of(experiment)
    if query_id not in questions:
        raise Http404("There is no such test question.")
    version = page.version_named(measured.versions_of(experiment), str(chosen.get("judgements") or ""))
    runs = measured.runs_of(experiment)
    choice = page.choose(version, list(runs), chosen.get("arm") or "", chosen.get("against") or "")
    if choice is None:
        raise Http404("There are no two searches to compare.")
    scores = measured.scores_of(experiment, version)
    arms = arms_shown(runs, choice.arm, choice.against)
    results = results_of(experiment, query_id, questions[query_id], arms, runs, scores)
    return _Shown(experiment, version, choice, results, page.deltas_of(experiment, scores, choice, questions, version))


def _context(request: HttpRequest, shown: _Shown) -> dict[str, Any]:
    project, order = shown.experiment.project, shown.order
    at = next((place for place, one in enumerate(order) if one.key == shown.results.query_id), None)
    return {
        "experiment": shown.experiment, "choice": shown.choice, "version": shown.version, "results": shown.results,
        "grades": GRADES, "place": None if at is None else at + 1, "questions": len(order),
        "before": order[at - 1] if at else None, "after": order[at + 1] if at is not None and order[at + 1 :] else None,
        "back": _address(shown), "decisions": strip(project, request.user), "guideline": guidelines.current(project),
        "current_step": "compare",
    }  # fmt: skip


def _besides(shown: _Shown, number: str) -> dict[str, Any] | None:
    """The other one of two experiments that were compared, and the address of the same question there."""
    form = PairForm({"a": number, "b": shown.experiment.number})
    if not form.is_valid():
        return None
    project = shown.experiment.project
    other = project.experiments.filter(number=form.cleaned_data["a"]).first()
    if other is None or other.pk == shown.experiment.pk:
        return None
    other.project = project
    if shown.results.query_id not in measured.questions_of(other):
        return None
    query = page.query_string(shown.results.query_id, shown.choice, measured.newest(other))
    address = reverse("compare_question", args=[project.slug, other.number])
    return {"number": other.number, "url": f"{address}?{query}&besides={shown.experiment.number}"}


def _address(shown: _Shown) -> str:
    address = reverse("compare_question", args=[shown.experiment.project.slug, shown.experiment.number])
    return f"{address}?{page.query_string(shown.results.query_id, shown.choice, shown.version)}"
