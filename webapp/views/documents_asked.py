"""The labelling screen, document first: a document is shown, the expert writes the question that it answers."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from webapp.access import project_view
from webapp.forms.examples import DocumentQuestionForm
from webapp.models import Document, Project, Role
from webapp.selectors.examples import strip
from webapp.selectors.suggestions import Suggested, suggest
from webapp.services import guidelines, queries, skipped_documents

_SHOWN = 20_000  # characters of the document


@project_view(Role.EDITOR)
@require_http_methods(["GET", "POST"])
def ask(request: HttpRequest, project: Project) -> HttpResponse:
    """Show a document; take the question for it and show the next."""
    if request.method == "GET":
        shown = _asked_for(request, project) or suggest(project, after=_number(request.GET.get("after", "")))
        form = DocumentQuestionForm(initial={"doc": shown.document.pk}) if shown else None
        return _page(request, project, shown, form)
    form = DocumentQuestionForm(request.POST)
    document = get_object_or_404(Document, corpus=project.corpus_id, pk=_number(form.data.get("doc", "")))
    if form.is_valid():
        try:
            query = queries.add_for_document(
                project=project, text=form.cleaned_data["text"], doc_id=document.doc_id, actor=request.user
            )
        except ValidationError as error:
            form.add_error("text", error.messages)
        else:
            messages.success(request, f"Saved “{queries.shorten(query.text)}” with its document.", extra_tags="good")
            return redirect("label_document", project.slug)
    return _page(request, project, Suggested(document, ""), form, status=422)


@project_view(Role.EDITOR)
@require_POST
def skip(request: HttpRequest, project: Project, doc: int) -> HttpResponse:
    """Not a good document to ask about; on to the next."""
    document = get_object_or_404(Document.objects.only("doc_id"), corpus=project.corpus_id, pk=doc)
    try:
        skipped_documents.skip(
            project=project, doc_id=document.doc_id, reason=request.POST.get("reason", ""), actor=request.user
        )
    except ValidationError as error:
        messages.error(request, " ".join(error.messages), extra_tags="bad")
        return redirect(f"{reverse('label_document', args=[project.slug])}?doc={doc}")
    messages.success(request, "Skipped. It is not suggested again.", extra_tags="good")
    return redirect("label_document", project.slug)


def _asked_for(request: HttpRequest, project: Project) -> Suggested | None:
    """The document that the address names, as links from elsewhere do."""
    number = _number(request.GET.get("doc", ""))
    document = Document.objects.filter(corpus=project.corpus_id, pk=number).first() if number else None
    return Suggested(document, "") if document else None


def _page(
    request: HttpRequest,
    project: Project,
    shown: Suggested | None,
    form: DocumentQuestionForm | None,
    status: int = 200,
) -> HttpResponse:
    context = {
        "current_step": "examples", "shown": shown, "form": form, "reasons": skipped_documents.REASONS,
        "text": shown.document.text[:_SHOWN] if shown else "",
        "is_cut": bool(shown and len(shown.document.text) > _SHOWN),
        "decisions": strip(project, request.user), "back": reverse("label_document", args=[project.slug]),
        "guideline": guidelines.current(project),
    }  # fmt: skip
    return render(request, "examples/from_document.html", context, status=status)


def _number(value: str) -> int:
    return int(value) if value.isdecimal() and value.isascii() and len(value) < 19 else 0
