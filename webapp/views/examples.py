"""The list of examples: pages, the gauge, one row edited in place, export, and taking steps back."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from webapp.access import project_view
from webapp.downloads import attachment
from webapp.forms.examples import EditForm, FilterForm
from webapp.models import Project, Query, Role, Split
from webapp.selectors import examples as selector
from webapp.selectors.example_files import FORMATS, lines_of
from webapp.selectors.examples import Filter
from webapp.selectors.gauge import gauge_of
from webapp.services import bulk, queries
from webapp.services.decisions import Conflict
from webapp.services.undo import undo


@project_view(Role.VIEWER)
@require_GET
def listing(request: HttpRequest, project: Project) -> HttpResponse:
    """The examples, filtered, page by page."""
    form, chosen = read_filter(request.GET)
    page = selector.page(project, chosen, before=_number(request, "before"), after=_number(request, "after"))
    context = {
        "current_step": "examples", "form": form, "chosen": chosen, "page": page, "splits": Split.choices,
        "actions": [(name, action.order) for name, action in bulk.ACTIONS.items()],
        **_row_context(request, request.get_full_path()),
    }  # fmt: skip
    return render(request, "examples/list.html", context)


@project_view(Role.VIEWER)
@require_GET
def gauge(request: HttpRequest, project: Project) -> HttpResponse:
    """How many examples, how different; a page of its own without htmx."""
    template = "examples/_gauge.html" if request.htmx else "examples/gauge.html"  # type: ignore[attr-defined]
    return render(request, template, {"current_step": "examples", "gauge": gauge_of(project)})


@project_view(Role.EDITOR)
@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """Text and split of one example, in its row or on a page of its own. `cancel` in the address gives the row back.

    In a conflict the form keeps what was typed, beside what the other person saved.
    """
    query = get_object_or_404(project.queries.select_related("author"), pk=pk)
    initial = {"text": query.text, "split": query.split if query.split_fixed else "", "seen": query.revision}
    form = EditForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            queries.edit(query=query, actor=request.user, seen=given["seen"], text=given["text"], split=given["split"])
        except Conflict as error:
            query = get_object_or_404(project.queries.select_related("author"), pk=pk)
            form = EditForm(initial={**given, "seen": query.revision})
            return _edit_page(request, query, form, str(error))
        except ValidationError as error:
            form.add_error(None, error)
        else:
            query.refresh_from_db()
            return _row(request, query)
    if request.method == "GET" and "cancel" in request.GET:
        return _row(request, query)
    return _edit_page(request, query, form)


@project_view(Role.EDITOR)
@require_POST
def delete(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """Delete one example; the strip can bring it back."""
    query = get_object_or_404(project.queries, pk=pk)
    queries.delete(query=query, actor=request.user)
    words = f"Deleted “{queries.shorten(query.text)}”. You can undo this among your last steps."
    messages.success(request, words, extra_tags="good")
    return redirect("examples", project.slug)


@project_view(Role.VIEWER)
@require_GET
def export(request: HttpRequest, project: Project, kind: str) -> HttpResponse | StreamingHttpResponse:
    """The examples that pass the filter, in a file that the import reads: `csv` for spreadsheets, `jsonl` exact."""
    _, chosen = read_filter(request.GET)
    if kind not in FORMATS:
        raise Http404("There is no such file.")
    lines = lines_of(selector.pairs(project, chosen), kind)
    return attachment(StreamingHttpResponse(lines, content_type=FORMATS[kind]), f"{project.name} examples.{kind}")


@project_view(Role.VIEWER)
@require_GET
def steps(request: HttpRequest, project: Project) -> HttpResponse:
    """The person's last ten steps; the strip alone for htmx."""
    template = "examples/_strip.html" if request.htmx else "examples/steps.html"  # type: ignore[attr-defined]
    context = {
        "current_step": "examples", "decisions": selector.strip(project, request.user),
        "back": reverse("examples_steps", args=[project.slug]),
    }  # fmt: skip
    return render(request, template, context)


@project_view(Role.REVIEWER)
@require_POST
def undo_step(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """Take one of one's own steps back, and show the question it was about."""
    decision = get_object_or_404(project.decisions, pk=pk, actor=request.user)
    back = _back(request, project)
    try:
        touched = undo(project=project, decision=decision, actor=request.user)
    except Conflict as error:
        messages.error(request, str(error), extra_tags="bad")
        return redirect(back)
    messages.success(request, f"Taken back: {decision.label}.", extra_tags="good")
    if len(touched) == 1 and _is_question_screen(project, back):
        return redirect("example", project.slug, touched[0])
    return redirect(back)


def read_filter(data: object) -> tuple[FilterForm, Filter]:
    """The filter of an address or a form, and the form that shows it."""
    form = FilterForm(data)  # type: ignore[arg-type]  # a QueryDict
    return form, Filter(**form.allowed())


def _is_question_screen(project: Project, address: str) -> bool:
    """Whether an address is where questions are judged one by one."""
    top = reverse("examples", args=[project.slug])
    return address.partition("?")[0] == reverse("label", args=[project.slug]) or bool(
        re.match(re.escape(top) + r"\d+/", address)
    )


def _back(request: HttpRequest, project: Project) -> str:
    """Where the person came from, when that is an address of ours; else the list."""
    back = request.POST.get("back") or request.GET.get("back") or ""
    if url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure()):
        return back
    return reverse("examples", args=[project.slug])


def _number(request: HttpRequest, name: str) -> int | None:
    value = request.GET.get(name, "")
    return int(value) if value.isdecimal() and value.isascii() and len(value) < 19 else None


def _row(request: HttpRequest, query: Query) -> HttpResponse:
    back = _back(request, query.project)
    if not request.htmx:  # type: ignore[attr-defined]
        return redirect(back)
    query.short = query.text[:300]  # type: ignore[attr-defined]  # as the list's statement does
    return render(request, "examples/_row.html", {"example": query, "is_focused": True, **_row_context(request, back)})


def _row_context(request: HttpRequest, back: str) -> dict[str, Any]:
    """What is the same in each row of a list, worked out once."""
    role: Role = request.role  # type: ignore[attr-defined]  # of project_view
    return {"may_edit": role.level >= Role.EDITOR.level, "way_back": urlencode({"back": back})}


def _edit_page(request: HttpRequest, query: Query, form: EditForm, problem: str = "") -> HttpResponse:
    template = "examples/_edit.html" if request.htmx else "examples/edit.html"  # type: ignore[attr-defined]
    context = {
        "current_step": "examples", "example": query, "form": form, "problem": problem,
        "back": _back(request, query.project),
    }  # fmt: skip
    return render(request, template, context)
