"""The guidelines of a project: read, and written anew as a version."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from webapp.access import project_view
from webapp.forms.examples import GuidelineForm
from webapp.models import Project, Role
from webapp.services import guidelines as service
from webapp.services.decisions import Conflict


@project_view(Role.VIEWER)
@require_http_methods(["GET", "POST"])
def guidelines(request: HttpRequest, project: Project) -> HttpResponse:
    """All versions, the newest to be changed by editors."""
    current = service.current(project)
    initial = {"text": current.text if current else service.STARTER, "seen": current.number if current else 0}
    may_edit = request.role.level >= Role.EDITOR.level  # type: ignore[attr-defined]  # set by project_view
    form = GuidelineForm(request.POST or None, initial=initial)
    theirs = None
    if request.method == "POST":
        if not may_edit:
            raise PermissionDenied("Guidelines are written by editors and owners of the project.")
        if form.is_valid():
            given = form.cleaned_data
            try:
                made = service.write(project=project, text=given["text"], seen=given["seen"], actor=request.user)
            except Conflict as error:
                # What was typed stays, and the next Save follows the version that now stands beside it.
                theirs = service.current(project)
                seen = theirs.number if theirs else 0
                form = GuidelineForm({"text": given["text"], "seen": seen}, initial=initial)
                form.add_error(None, str(error))
            except ValidationError as error:
                form.add_error(None, error)
            else:
                messages.success(request, f"Version {made.number} is saved.", extra_tags="good")
                return redirect("guidelines", project.slug)
    versions = project.guidelines.select_related("author").order_by("-number")[:50]
    context = {
        "current_step": "examples", "form": form, "versions": versions, "may_edit": may_edit, "theirs": theirs,
    }  # fmt: skip
    return render(request, "examples/guidelines.html", context, status=422 if form.errors else 200)
