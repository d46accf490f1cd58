"""Jobs: what runs and waits in all projects of the person, and the count of it for the top bar."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.views.decorators.http import require_GET, require_http_methods

from webapp.access import project_view
from webapp.models import Errand, Project, Role, StageRun
from webapp.selectors import jobs
from webapp.selectors.words import plural, stage_title
from webapp.services import errands, stages

_STOP = {"title": "Stop “{}”?", "button": "Stop it", "button_class": "btn-danger"}
_AGAIN = {"title": "Try “{}” again?", "button": "Try again", "button_class": "btn-primary"}


@require_GET
def listing(request: HttpRequest) -> HttpResponse:
    """Everything that runs, waits, failed or ended lately; as a fragment 204 while nothing has changed."""
    body = render_to_string("jobs/_table.html", {"jobs": jobs.jobs_of(request.user)}, request=request)
    seen = sha256(body.encode()).hexdigest()[:16]
    if request.htmx:
        if request.GET.get("seen") == seen:
            return HttpResponse(status=204)
        return render(request, "jobs/_live.html", {"body": body, "seen": seen})
    return render(request, "jobs/list.html", {"body": body, "seen": seen})


@require_GET
def tray(request: HttpRequest) -> HttpResponse:
    """The number in the top bar. One query."""
    return render(request, "jobs/_tray.html", {"count": jobs.count_open(request.user)})


@project_view(Role.EDITOR)
@require_http_methods(["GET", "POST"])
def cancel_stage(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """Stop one step of an experiment, and with it what builds on it."""
    stage = _stage(project, pk)
    if request.method == "GET":
        return _ask(
            request, _STOP, _named(stage), "A running step ends within ten seconds. What builds on it is stopped too."
        )
    stages.cancel(work=stage, actor=request.user)
    return _back(request, "Stopping: a running step ends within ten seconds.")


@project_view(Role.EDITOR)
@require_http_methods(["GET", "POST"])
def retry_stage(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """Try one step again, and what builds on it."""
    stage = _stage(project, pk)
    if request.method == "GET":
        return _ask(request, _AGAIN, _named(stage), "The step goes on where it was, and what builds on it follows.")
    count = stages.retry(work=stage, actor=request.user)
    again = f"{count} {plural(count, 'step')} {'is' if count == 1 else 'are'} queued again."
    return _back(request, again if count else "There was nothing to try again.")


@project_view(Role.EDITOR)
@require_http_methods(["GET", "POST"])
def cancel_errand(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """Stop an import, an index or the like."""
    errand = get_object_or_404(project.errands, pk=pk)
    if request.method == "GET":
        name = jobs.ERRANDS.get(errand.kind, errand.kind)
        return _ask(request, _STOP, name, "It ends within ten seconds. It can be started again later.")
    errands.cancel(errand=errand, actor=request.user)
    return _back(request, "Stopping: it ends within ten seconds.")


@project_view(Role.EDITOR)
@require_http_methods(["GET", "POST"])
def retry_errand(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """Ask for an errand again that failed or was stopped."""
    old: Errand = get_object_or_404(project.errands, pk=pk, state__in=jobs.AGAIN)
    if request.method == "GET":
        return _ask(request, _AGAIN, jobs.ERRANDS.get(old.kind, old.kind), "It is done again from its beginning.")
    errands.ask(kind=old.kind, project=project, subject=old.subject, actor=request.user, arguments=old.arguments)
    return _back(request, "It is queued again.")


def _stage(project: Project, pk: int) -> StageRun:
    return get_object_or_404(StageRun.objects.select_related("experiment"), pk=pk, experiment__project=project)


def _named(stage: StageRun) -> str:
    return f"{stage_title(stage)}, {stage.experiment}"


def _ask(request: HttpRequest, question: Mapping[str, str], name: str, sentence: str) -> HttpResponse:
    """The page that asks before something happens to a job; its button posts to the same address."""
    context = {**question, "title": question["title"].format(name), "sentence": sentence}
    return render(request, "jobs/confirm.html", context)


def _back(request: HttpRequest, text: str) -> HttpResponse:
    messages.info(request, text, extra_tags="busy")
    return redirect("jobs")
