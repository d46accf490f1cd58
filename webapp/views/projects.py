"""A project's own pages: overview, settings, log, and its making and deletion."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from webapp.access import project_view
from webapp.downloads import EchoFile, attachment, safe_cell
from webapp.event_words import NOUNS
from webapp.forms.people import DeleteProjectForm, InvitationForm, LogFilterForm, ProjectForm
from webapp.models import Project, Role
from webapp.selectors import events as log
from webapp.selectors.people import members_of, open_invitations
from webapp.selectors.projects import overview_of
from webapp.services import deletion, projects


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Make a project."""
    form = ProjectForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        made = projects.create(owner=request.user, **form.cleaned_data)
        messages.success(request, f"“{made.name}” is there. Begin with its documents.", extra_tags="good")
        return redirect("project", made.slug)
    return render(request, "projects/new.html", {"form": form})


@project_view(Role.VIEWER)
@require_GET
def overview(request: HttpRequest, project: Project) -> HttpResponse:
    """The eight steps with a sentence each, and what happened lately."""
    found = overview_of(project, request.role)  # type: ignore[attr-defined]  # set by project_view
    return render(request, "projects/overview.html", {"overview": found})


@project_view(Role.VIEWER)
@require_GET
def settings_page(request: HttpRequest, project: Project) -> HttpResponse:
    """Name, members, invitations, leaving and deleting."""
    return render_settings(request, project, **_made_invitation(request, project))


@project_view(Role.OWNER)
@require_POST
def change(request: HttpRequest, project: Project) -> HttpResponse:
    """Rename the project or describe it anew."""
    # A copy, so that a refused name does not stand in the page's header.
    form = ProjectForm(request.POST, instance=Project.objects.get(pk=project.pk))
    if not form.is_valid():
        return render_settings(request, project, form=form)
    projects.change(project=project, actor=request.user, **form.cleaned_data)
    messages.success(request, "Saved.", extra_tags="good")
    return redirect("project_settings", project.slug)


@project_view(Role.OWNER)
@require_POST
def delete(request: HttpRequest, project: Project) -> HttpResponse:
    """Delete the project, once its name was typed."""
    form = DeleteProjectForm(project, request.POST)
    if not form.is_valid():
        return render_settings(request, project, delete_form=form)
    deletion.delete(project=project, actor=request.user)
    messages.success(request, f"“{project.name}” is deleted. Its files are being removed.", extra_tags="good")
    return redirect("home")


@project_view(Role.VIEWER)
@require_GET
def event_log(request: HttpRequest, project: Project) -> HttpResponse:
    """Who did what when."""
    chosen = LogFilterForm(request.GET).chosen()
    context = {
        "page": log.page(project, before=chosen.before, actor=chosen.actor, verb=chosen.verb),
        "chosen": chosen,
        "people": log.people_of(project),
        "nouns": NOUNS,
    }
    return render(request, "projects/events.html", context)


@project_view(Role.VIEWER)
@require_GET
def event_csv(request: HttpRequest, project: Project) -> HttpResponseBase:
    """The log, filtered as on the page, as a table that a spreadsheet opens without running anything."""
    chosen = LogFilterForm(request.GET).chosen()
    lines = log.all_lines(project, actor=chosen.actor, verb=chosen.verb)
    response = StreamingHttpResponse(_rows(lines), content_type="text/csv; charset=utf-8")
    return attachment(response, f"{project.name} events.csv")


def render_settings(request: HttpRequest, project: Project, **forms: object) -> HttpResponse:
    """The settings page with the forms and texts given, fresh forms otherwise."""
    is_owner = request.role == Role.OWNER  # type: ignore[attr-defined]  # set by project_view
    context = {
        "form": ProjectForm(instance=project),
        "invitation_form": InvitationForm(),
        "delete_form": DeleteProjectForm(project),
        "members": members_of(project),
        "invitations": open_invitations(project) if is_owner else [],
        "roles": list(Role),
        "is_owner": is_owner,
        **forms,
    }
    return render(request, "projects/settings.html", context)


def invitation_key(project: Project) -> str:
    """Where a session keeps the link of an invitation just made, until the settings page has shown it."""
    return f"invitation-{project.pk}"


def _made_invitation(request: HttpRequest, project: Project) -> dict[str, object]:
    kept = request.session.pop(invitation_key(project), None)
    made = project.invitations.filter(pk=kept["pk"], used=None).first() if kept else None
    return {"made": made, "link": kept["link"]} if made else {}


def _rows(lines: Iterator[log.Line]) -> Iterator[str]:
    writer = csv.writer(EchoFile())
    yield "\ufeff" + writer.writerow(["time (UTC)", "person", "what", "kind"])
    for line in lines:
        words = (safe_cell(text) for text in (line.who, line.what, line.verb))
        yield writer.writerow([line.at.isoformat(timespec="seconds"), *words])
