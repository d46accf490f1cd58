"""Download: the trained search model, and everything else an experiment leaves, as files."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from webapp.access import project_view
from webapp.forms.downloads import ArchiveForm, card_options
from webapp.models import Archive, Experiment, Project, Role
from webapp.selectors import archives as found
from webapp.selectors.archive_sources import sources_of
from webapp.selectors.model_cards import card_of
from webapp.services import archives
from webapp.streaming import send_file


@project_view(Role.VIEWER)
@require_GET
def page(request: HttpRequest, project: Project) -> HttpResponse:
    """What there is to download of an experiment: of the newest with a packed model unless another one is chosen."""
    asked = request.GET.get("experiment", "")
    number = int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 10 else None
    shelf = found.shelf_of(project, number)
    if number is not None and shelf.experiment is None:
        raise Http404("There is no such experiment.")
    return render(request, "download/page.html", {"shelf": shelf, "current_step": "download"})


@project_view(Role.VIEWER)
@require_GET
def card(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """The model card as it would be, with the boxes that are ticked; the text alone for htmx."""
    experiment = _experiment(project, number)
    packed = sources_of(experiment).package(request.GET.get("family", ""))
    if packed is None:
        raise Http404("This experiment has packed no such search model.")
    options = card_options(request.GET)
    context = {
        "experiment": experiment, "packed": packed, "text": card_of(experiment, packed.card, options),
        "options": options,
        "ticked": [box for box, is_in in options.items() if is_in], "boxes": found.KINDS["retriever"].boxes,
        "current_step": "download",
    }  # fmt: skip
    template = "download/_card.html" if request.htmx else "download/card.html"
    return render(request, template, context)


@project_view(Role.EDITOR)
@require_POST
def make(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Have an archive made; what has not changed is there already."""
    experiment = _experiment(project, number)
    form = ArchiveForm(request.POST)
    if not form.is_valid():
        messages.error(request, f"Nothing was started. {form.sentence()}", extra_tags="bad")
        return redirect(_page(experiment))
    try:
        given = form.cleaned_data
        archive, is_new = archives.ask(
            experiment=experiment, kind=given["kind"], boxes=given["box"], chosen=given["chosen"], actor=request.user
        )
    except ValidationError as error:
        messages.error(request, f"Nothing was started. {' '.join(error.messages)}", extra_tags="bad")
        return redirect(_page(experiment))
    except archives.NotThereError as error:
        messages.error(request, str(error), extra_tags="bad")
        return redirect(_page(experiment))
    if not is_new:
        messages.success(request, "Nothing has changed since: it is the file that is there.", extra_tags="good")
    return redirect(_page(experiment, archive))


@project_view(Role.VIEWER)
@require_GET
def archive(request: HttpRequest, project: Project, archive: str) -> HttpResponse:
    """One archive while it is made: its row for htmx, else the page it is on."""
    row = _archive(project, archive)
    if not request.htmx:
        return redirect(_page(row.experiment, row) if row.experiment else reverse("download", args=[project.slug]))
    return render(request, "download/_archive.html", {"row": found.shown(row)})


@project_view(Role.VIEWER)
@require_GET
def file(request: HttpRequest, project: Project, archive: str) -> HttpResponseBase:
    """The file of an archive."""
    row = _archive(project, archive)
    path = found.file_of(row)
    if path is None:
        raise Http404("This download is not made yet, or its file is gone.")
    content_type = found.KINDS[row.kind].media_type_of(row.options)
    return send_file(request, path, name=row.name, content_type=content_type, tag=row.sha256)


@project_view(Role.EDITOR)
@require_POST
def again(request: HttpRequest, project: Project, archive: str) -> HttpResponse:
    """Make an archive again that failed, was stopped or lost its file."""
    row = _archive(project, archive)
    if not archives.again(archive=row, actor=request.user):
        messages.info(request, "There was nothing to do again.")
    return _back(project, row)


@project_view(Role.EDITOR)
@require_POST
def stop(request: HttpRequest, project: Project, archive: str) -> HttpResponse:
    """Stop making an archive."""
    row = _archive(project, archive)
    archives.stop(archive=row, actor=request.user)
    messages.info(request, "Stopping: it ends within ten seconds.", extra_tags="busy")
    return _back(project, row)


@project_view(Role.EDITOR)
@require_POST
def remove(request: HttpRequest, project: Project, archive: str) -> HttpResponse:
    """Remove an archive; it can be made again."""
    row = _archive(project, archive)
    archives.remove(archive=row, actor=request.user)
    messages.success(request, "Removed. It can be made again at any time.", extra_tags="good")
    return redirect(_page(row.experiment) if row.experiment else reverse("download", args=[project.slug]))


def _experiment(project: Project, number: int) -> Experiment:
    experiment = get_object_or_404(project.experiments.select_related("corpus"), number=number)
    experiment.project = project
    return experiment


def _archive(project: Project, slug: str) -> Archive:
    rows = project.archives.select_related("experiment", "asked_by").filter(kind__in=found.KINDS)
    row = get_object_or_404(rows, slug=slug)
    row.project = project
    if row.experiment is not None:
        row.experiment.project = project
    return row


def _page(experiment: Experiment, archive: Archive | None = None) -> str:
    address = f"{reverse('download', args=[experiment.project.slug])}?experiment={experiment.number}"
    return f"{address}#archive-{archive.slug}" if archive else address


def _back(project: Project, row: Archive) -> HttpResponse:
    return redirect(_page(row.experiment, row) if row.experiment else reverse("download", args=[project.slug]))
