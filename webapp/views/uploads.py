"""An upload of documents on its way: received, looked at, checked, decided on, imported."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, UnreadablePostError
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRedirect

from sptar_engine.errors import InputError
from webapp.access import project_view
from webapp.downloads import attachment
from webapp.forms.uploads import ChoicesForm, ImportForm, UploadForm
from webapp.models import Project, Role, Upload
from webapp.places import upload_folder
from webapp.reading.checking import PROBLEMS_FILE
from webapp.selectors import upload_choices, uploads
from webapp.selectors.corpus_health import LONG_SHARE
from webapp.selectors.upload_choices import Look
from webapp.services import uploads as service
from webapp.uploads import drop, refusal
from webapp.views.documents import STEP, upload_limits

TOO_LARGE, LENGTH_REQUIRED, UNUSABLE = 413, 411, 422
_WORKING = (Upload.Stage.CHECKING, Upload.Stage.IMPORTING)


@project_view(Role.EDITOR)
@require_http_methods(["GET", "POST"])
def upload_new(request: HttpRequest, project: Project) -> HttpResponse:
    """Receive a file."""
    if request.method != "POST":
        return render(request, "documents/new.html", {**STEP, "form": UploadForm(), **upload_limits()})
    try:
        files = request.FILES  # read first: receiving sets the refusal
    except UnreadablePostError:
        drop(request)
        return HttpResponse("The connection broke before the whole file had arrived.", status=UNUSABLE)
    refused = refusal(request)
    form = UploadForm(request.POST, files, refused=refused or _no_length(request))
    if form.is_valid():
        try:
            upload = service.receive(project=project, file=form.cleaned_data["file"], actor=request.user)
        except InputError as error:
            form.add_error("file", str(error))
        else:
            return _go(request, project, upload)
    template = "documents/_upload_form.html" if request.htmx else "documents/new.html"
    status = TOO_LARGE if refused else LENGTH_REQUIRED if _no_length(request) else UNUSABLE
    return render(request, template, {**STEP, "form": form, **upload_limits()}, status=status)


@project_view(Role.VIEWER)
@require_GET
def upload_page(request: HttpRequest, project: Project, upload: int) -> HttpResponse:
    """Where an upload stands, and what it wants."""
    return _show(request, _find(project, upload))


@project_view(Role.EDITOR)
@require_http_methods(["GET", "POST"])
def upload_preview(request: HttpRequest, project: Project, upload: int) -> HttpResponse:
    """The first documents with other choices; nothing is kept."""
    found = _find(project, upload)
    if found.stage != Upload.Stage.MAPPING:
        return _go(request, project, found)
    look = upload_choices.look(found, request.POST or request.GET)
    context = {**STEP, "upload": found, **_look_context(look, None)}
    return render(request, "documents/_look.html" if request.htmx else "documents/upload.html", context)


@project_view(Role.EDITOR)
@require_POST
def upload_check(request: HttpRequest, project: Project, upload: int) -> HttpResponse:
    """Take the choices and have the whole file read."""
    found = _find(project, upload)
    if found.stage != Upload.Stage.MAPPING:
        return redirect("upload", project.slug, found.pk)
    look = upload_choices.look(found, request.POST)
    form = _choices_form(look, request.POST)
    is_new = request.POST.get("seen") != look.seen
    if is_new or look.problem or not form.is_valid():
        # Columns that were guessed anew are not those the person decided on, so they are shown first.
        context = {**STEP, "upload": found, **_look_context(look, None if is_new else form)}
        return render(request, "documents/upload.html", context, status=UNUSABLE)
    try:
        service.start_check(upload=found, kind=look.kind, options=form.options(), actor=request.user)
    except InputError as error:
        messages.error(request, str(error), extra_tags="bad")
    return redirect("upload", project.slug, found.pk)


@project_view(Role.VIEWER)
@require_GET
def upload_progress(request: HttpRequest, project: Project, upload: int) -> HttpResponse:
    """How far the work is; when it is over the whole page is loaded anew."""
    found = _find(project, upload)
    if not request.htmx or found.stage not in _WORKING:
        return _go(request, project, found)
    context = {"upload": found, "progress": uploads.progress(found)}
    return render(request, "documents/_progress.html", context)


@project_view(Role.EDITOR)
@require_POST
def upload_import(request: HttpRequest, project: Project, upload: int) -> HttpResponse:
    """Import the good rows although there are bad ones."""
    found = _find(project, upload)
    form = ImportForm(request.POST)
    chunking = form.cleaned_data["chunking"] if form.is_valid() else found.options.get("chunking", "none")
    return _do(request, found, lambda: service.import_good(upload=found, chunking=chunking, actor=request.user))


@project_view(Role.EDITOR)
@require_POST
def upload_reopen(request: HttpRequest, project: Project, upload: int) -> HttpResponse:
    """Back to the choices."""
    found = _find(project, upload)
    return _do(request, found, lambda: service.reopen(upload=found, actor=request.user))


@project_view(Role.EDITOR)
@require_POST
def upload_retry(request: HttpRequest, project: Project, upload: int) -> HttpResponse:
    """Ask again for work that failed or was stopped."""
    found = _find(project, upload)
    return _do(request, found, lambda: service.retry(upload=found, actor=request.user))


@project_view(Role.EDITOR)
@require_POST
def upload_cancel(request: HttpRequest, project: Project, upload: int) -> HttpResponse:
    """Give an upload up."""
    found = _find(project, upload)
    return _do(request, found, lambda: service.cancel(upload=found, actor=request.user))


@project_view(Role.VIEWER)
@require_GET
def upload_problems(request: HttpRequest, project: Project, upload: int) -> FileResponse:
    """The full report of problems, to download."""
    found = _find(project, upload)
    try:
        stream = (upload_folder(found) / PROBLEMS_FILE).open("rb")
    except FileNotFoundError:
        raise Http404("There is no report.") from None
    response = FileResponse(stream, content_type="text/csv; charset=utf-8")
    return attachment(response, f"problems of {found.name}.csv")


def _find(project: Project, pk: int) -> Upload:
    return get_object_or_404(project.uploads.select_related("project"), pk=pk, kind__in=uploads.DOCUMENT_KINDS)


def _show(request: HttpRequest, upload: Upload) -> HttpResponse:
    context: dict[str, Any] = {**STEP, "upload": upload}
    if upload.stage == Upload.Stage.MAPPING:
        context |= {**_look_context(upload_choices.look(upload), None), "same": uploads.same_file(upload)}
    elif upload.stage in _WORKING:
        context["progress"] = uploads.progress(upload)
    elif upload.stage == Upload.Stage.QUESTION:
        context["form"] = ImportForm(initial={"chunking": upload.options.get("chunking", "none")})
        context["many_long"] = upload.options["found"]["long"] > LONG_SHARE * upload.rows_good
    return render(request, "documents/upload.html", context)


def _look_context(look: Look, form: ChoicesForm | None) -> dict[str, Any]:
    return {"look": look, "form": form or _choices_form(look, None)}


def _choices_form(look: Look, data: Any) -> ChoicesForm:
    initial = {"kind": look.kind, **look.options}
    initial |= {f"role_{number}": role for number, role in enumerate(look.options.get("roles", []))}
    return ChoicesForm(data, kinds=look.kinds, columns=look.columns, options=look.options, initial=initial)


def _go(request: HttpRequest, project: Project, upload: Upload) -> HttpResponse:
    response = redirect("upload", project.slug, upload.pk)
    return HttpResponseClientRedirect(response.url) if request.htmx else response


def _do(request: HttpRequest, upload: Upload, act: Any) -> HttpResponse:
    try:
        act()
    except InputError as error:
        messages.error(request, str(error), extra_tags="bad")
    return redirect("upload", upload.project.slug, upload.pk)


def _no_length(request: HttpRequest) -> str:
    """A body that comes in pieces without a length is not read at all by Django."""
    if request.META.get("CONTENT_LENGTH") or "chunked" not in request.META.get("HTTP_TRANSFER_ENCODING", "").lower():
        return ""
    return "The file came without its length, so it was not read. Upload it with a browser, or send a Content-Length."
