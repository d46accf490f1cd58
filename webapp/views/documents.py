"""The documents of a project: list, search, health, one document, versions."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from sptar_engine.errors import InputError
from webapp.access import project_view
from webapp.forms.uploads import SearchForm, UploadForm
from webapp.models import Chunking, Corpus, Document, Project, Role
from webapp.search.client import SearchUnavailable
from webapp.selectors import corpora, documents, uploads
from webapp.selectors.corpus_health import health_of
from webapp.services import corpora as corpora_service

STEP = {"current_step": "documents"}


@project_view(Role.VIEWER)
@require_GET
def documents_page(request: HttpRequest, project: Project) -> HttpResponse:
    """What is there: numbers, health, search and list; or, before anything is, how to begin."""
    waiting = uploads.on_the_way(project)
    corpus = corpora.current(project)
    if corpus is None:
        context = {**STEP, "form": UploadForm(), "waiting": waiting, **upload_limits()}
        return render(request, "documents/first.html", context)
    context = {**STEP, "corpus": corpus, "waiting": waiting, "health": health_of(corpus)}
    form = SearchForm(request.GET)
    context["search"] = form
    if form.is_valid() and form.cleaned_data["q"]:
        context |= _results(corpus, form.cleaned_data["q"])
    if "results" not in context:
        context["page"] = documents.page(corpus, after=_key(request, "after"), before=_key(request, "before"))
    return render(request, "documents/list.html", context)


@project_view(Role.VIEWER)
@require_GET
def document(request: HttpRequest, project: Project, doc: int) -> HttpResponse:
    """One document of any version."""
    try:
        found = documents.one(project, doc)
    except Document.DoesNotExist:
        raise Http404("There is no such document.") from None
    before, after = documents.neighbours(found)
    context = {**STEP, "document": found, "before": before, "after": after, "limit": documents.SHOWN_TEXT}
    return render(request, "documents/document.html", context)


@project_view(Role.VIEWER)
@require_GET
def versions(request: HttpRequest, project: Project) -> HttpResponse:
    """All versions, and the uploads they came from."""
    corpus = corpora.current(project)
    context = {
        **STEP,
        "corpus": corpus,
        "versions": corpora.versions(project),
        "uploads": uploads.recent(project),
        "gone": documents.judged_but_gone(project, corpus) if corpus else 0,
    }
    return render(request, "documents/versions.html", context)


@project_view(Role.EDITOR)
@require_POST
def version_use(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Put another version into use."""
    corpus = get_object_or_404(project.corpora, number=number)
    try:
        corpora_service.use(corpus=corpus, actor=request.user)
    except InputError as error:
        messages.error(request, str(error), extra_tags="bad")
    else:
        messages.success(request, f"Version {corpus.number} is in use now.", extra_tags="good")
    return redirect("versions", project.slug)


@project_view(Role.EDITOR)
@require_POST
def version_cut(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Make a version whose long documents are cut, from the same file."""
    corpus = get_object_or_404(project.corpora.select_related("upload"), number=number)
    try:
        upload = corpora_service.cut_again(corpus=corpus, chunking=Chunking.PARAGRAPHS, actor=request.user)
    except InputError as error:
        messages.error(request, str(error), extra_tags="bad")
        return redirect("documents", project.slug)
    return redirect("upload", project.slug, upload.pk)


def upload_limits() -> dict[str, Any]:
    """What the upload form says about sizes."""
    from django.conf import settings

    return {"max_mb": settings.UPLOAD_LIMIT_MB, "max_bytes": settings.UPLOAD_LIMIT_MB << 20}


def _results(corpus: Corpus, text: str) -> dict[str, Any]:
    try:
        return {"results": documents.search(corpus, text)}
    except SearchUnavailable as error:
        return {"unavailable": str(error)}


def _key(request: HttpRequest, name: str) -> int | None:
    """The id a page begins at; nonsense is the first page."""
    value = request.GET.get(name, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else None
