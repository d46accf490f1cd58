"""Examples from a file: chosen, checked, decided on, imported."""

from __future__ import annotations

from django.contrib import messages
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from sptar_engine.errors import InputError
from webapp.access import project_view
from webapp.downloads import attachment
from webapp.forms.examples import PairsFileForm
from webapp.models import Errand, Project, Role, Upload
from webapp.places import upload_folder
from webapp.services import pairs
from webapp.services.uploads import UploadMoved
from webapp.uploads import refusal

KINDS = (Upload.Kind.PAIRS, Upload.Kind.QRELS)
_LATEST = 10


@project_view(Role.EDITOR)
@require_http_methods(["GET", "POST"])
def start(request: HttpRequest, project: Project) -> HttpResponse:
    """Choose a file, with help on the formats."""
    form = PairsFileForm(request.POST or None, request.FILES or None) if request.method == "POST" else PairsFileForm()
    if request.method == "POST" and (reason := refusal(request)):
        form.add_error("file", reason)
    elif request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            upload = pairs.receive(
                project=project, file=given["file"], queries=given["queries"], split=given["split"], actor=request.user
            )
        except InputError as error:
            form.add_error("file", str(error))
        else:
            return redirect("pairs_upload", project.slug, upload.pk)
    latest = project.uploads.filter(kind__in=KINDS).select_related("uploaded_by").order_by("-pk")[:_LATEST]
    context = {"current_step": "examples", "form": form, "latest": latest}
    return render(request, "examples/import.html", context, status=422 if form.errors else 200)


@project_view(Role.VIEWER)
@require_GET
def status(request: HttpRequest, project: Project, upload: int) -> HttpResponse:
    """Where an import stands: checking, what was found, importing, done."""
    found = _find(project, upload)
    errand = Errand.objects.filter(kind=pairs.KIND, subject=found.pk).order_by("-pk").first()
    template = "examples/_import_status.html" if request.htmx else "examples/import_status.html"  # type: ignore[attr-defined]
    return render(request, template, {"current_step": "examples", "upload": found, "errand": errand})


@project_view(Role.EDITOR)
@require_POST
def accept(request: HttpRequest, project: Project, upload: int) -> HttpResponse:
    """Import the good rows."""
    try:
        pairs.accept(upload=_find(project, upload), actor=request.user)
    except (InputError, UploadMoved) as error:
        messages.error(request, str(error), extra_tags="bad")
    return redirect("pairs_upload", project.slug, upload)


@project_view(Role.EDITOR)
@require_POST
def discard(request: HttpRequest, project: Project, upload: int) -> HttpResponse:
    """Import nothing."""
    try:
        pairs.discard(upload=_find(project, upload), actor=request.user)
    except UploadMoved as error:
        messages.error(request, str(error), extra_tags="bad")
    return redirect("pairs_upload", project.slug, upload)


@project_view(Role.VIEWER)
@require_GET
def problems(request: HttpRequest, project: Project, upload: int) -> FileResponse:
    """Every row that is left out, with its reason, as a file."""
    path = upload_folder(_find(project, upload)) / pairs.PROBLEMS_FILE
    if not path.exists():
        raise Http404("There is no report.")
    return attachment(FileResponse(path.open("rb"), content_type="text/csv; charset=utf-8"), "rows left out.csv")


def _find(project: Project, upload: int) -> Upload:
    return get_object_or_404(project.uploads.select_related("uploaded_by"), pk=upload, kind__in=KINDS)
