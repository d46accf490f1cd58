"""The labelling screen, question first: write, search, judge, go on."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import trigger_client_event

from webapp.access import project_view
from webapp.forms.examples import GRADES, GradeForm, NoteForm, QuestionsForm
from webapp.models import Document, Project, Query, Role
from webapp.search import client
from webapp.search.client import SearchUnavailable
from webapp.selectors import examples as selector
from webapp.selectors.advice import advise
from webapp.selectors.hits import card_of, screen_of
from webapp.services import guidelines, judgements, queries
from webapp.services.decisions import Conflict

_FIND = 2000  # characters of a search
_QUEUE = 10  # questions that wait, as the page lists them


@project_view(Role.VIEWER)
@require_GET
def label(request: HttpRequest, project: Project) -> HttpResponse:
    """Write a question; see which ones wait."""
    return _write_page(request, project, QuestionsForm())


@project_view(Role.EDITOR)
@require_POST
def write(request: HttpRequest, project: Project) -> HttpResponse:
    """Queue up the questions of the box and go to the first."""
    form = QuestionsForm(request.POST)
    if form.is_valid():
        try:
            added = queries.add(project=project, texts=form.lines(), actor=request.user)
        except ValidationError as error:
            form.add_error("text", error.messages)
        else:
            if added.known:
                words = f"{len(added.known)} of them are" if len(added.made) + len(added.known) > 1 else "It is"
                messages.info(request, f"{words} among the examples already.")
            return redirect("example", project.slug, (added.made or added.known)[0].pk)
    return _write_page(request, project, form, status=422)


@project_view(Role.VIEWER)
@require_POST
def advice(request: HttpRequest, project: Project) -> HttpResponse:
    """Advice on the last line of what is being written. Changes nothing; sent by POST because it may be long."""
    lines = [line for line in request.POST.get("text", "")[:20_000].splitlines() if line.strip()]
    return render(request, "examples/_advice.html", {"advice": advise(project, lines[-1]) if lines else []})


@project_view(Role.EDITOR)
@require_POST
def prepare_meaning(request: HttpRequest, project: Project) -> HttpResponse:
    """Have the search by meaning made ready."""
    try:
        if project.corpus is not None:
            client.prepare(project.corpus, client.BASE)
            messages.info(request, "The search by meaning is being made ready; you can go on meanwhile.")
    except SearchUnavailable as error:
        messages.error(request, str(error), extra_tags="bad")
    pk = request.POST.get("query", "")
    return (
        redirect("example", project.slug, int(pk))
        if pk.isdecimal() and len(pk) < 19
        else redirect("label", project.slug)
    )


@project_view(Role.VIEWER)
@require_GET
def example(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """One question with what the searches find for it."""
    query = get_object_or_404(project.queries.select_related("author"), pk=pk)
    return _example_page(request, query, _find(request, query), query.note)


@project_view(Role.VIEWER)
@require_GET
def hits(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """The list of hits alone, for other words; the whole page without htmx."""
    query = get_object_or_404(project.queries, pk=pk)
    if not request.htmx:  # type: ignore[attr-defined]
        return redirect(_address(query, _find(request, query)))
    screen = screen_of(query, _find(request, query))
    return render(request, "examples/_hits.html", {**screen_context(request, query), "screen": screen})


@project_view(Role.VIEWER)
@require_GET
def waiting(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """Whether a search that is being made ready (`for`, one or more) is ready by now; then the hits load themselves."""
    query = get_object_or_404(project.queries, pk=pk)
    find = _find(request, query)
    if not request.htmx or project.corpus is None:  # type: ignore[attr-defined]
        return redirect(_address(query, find))
    wanted = [name for name in request.GET.getlist("for")[:2] if name in (client.BM25, client.BASE)]
    try:
        states = client.readiness(project.corpus)
        is_ready = any(states[name] != "building" for name in wanted)
    except SearchUnavailable:
        is_ready = False
    context = {**screen_context(request, query, find), "wanted": wanted, "is_ready": is_ready}
    response = render(request, "examples/_waiting.html", context)
    return announce(response, "A search is ready; its hits are on the page now.") if is_ready else response


@project_view(Role.REVIEWER)
@require_POST
def grade(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """Give a document a grade, or take it off."""
    query = get_object_or_404(project.queries, pk=pk)
    form = GradeForm(request.POST)
    if not form.is_valid():
        return _say(request, query, "That was no grade from 0 to 3. Nothing was saved.", "bad")
    given = form.cleaned_data
    doc = get_object_or_404(Document.objects.only("doc_id"), corpus=project.corpus_id, pk=given["doc"])
    problem = ""
    try:
        judgements.grade(query=query, doc_id=doc.doc_id, grade=given["grade"], actor=request.user, seen=given["seen"])
    except (Conflict, ValidationError) as error:
        problem = _sentence(error)
    find = given["find"] or query.text
    if not request.htmx:  # type: ignore[attr-defined]
        if problem:
            messages.error(request, problem, extra_tags="bad")
        return redirect(f"{_address(query, find)}#hit-{doc.pk}")
    query.refresh_from_db()
    card = card_of(query, doc.doc_id, find)
    if card is not None:
        ranks = {client.BM25: given["by_words"], client.BASE: given["by_meaning"]}
        card.ranks = {retriever: rank for retriever, rank in ranks.items() if rank}
    context = {**screen_context(request, query, find), "card": card, "problem": problem, "with_state": True}
    response = render(request, "examples/_graded.html", context)
    return announce(response, problem or f"Saved: {judgements.words(given['grade'])}.")


@project_view(Role.REVIEWER)
@require_POST
def rest(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """None of the shown documents that nobody judged is relevant."""
    query = get_object_or_404(project.queries, pk=pk)
    numbers = [int(value) for value in request.POST.getlist("doc")[:500] if value.isdecimal() and len(value) < 19]
    documents = Document.objects.filter(corpus=project.corpus_id, pk__in=numbers)
    doc_ids = list(documents.values_list("doc_id", flat=True))
    try:
        count = judgements.rest_is_not_relevant(query=query, doc_ids=doc_ids, actor=request.user)
    except ValidationError as error:
        return _say(request, query, _sentence(error), "bad")
    words = f"{count} document{' is' if count == 1 else 's are'} marked not relevant."
    return _say(request, query, words if count else "There was nothing left to mark.")


@project_view(Role.REVIEWER)
@require_POST
def finish(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """Done: on to the next question."""
    query = get_object_or_404(project.queries, pk=pk)
    return _then_next(request, project, query, lambda: queries.finish(query=query, actor=request.user), "Finished")


@project_view(Role.REVIEWER)
@require_POST
def skip(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """Put the question aside, with a reason; on to the next."""
    query = get_object_or_404(project.queries, pk=pk)
    reason = request.POST.get("reason", "")
    act = lambda: queries.skip(query=query, actor=request.user, reason=reason)  # noqa: E731  one line reads best here
    return _then_next(request, project, query, act, "Skipped")


@project_view(Role.REVIEWER)
@require_POST
def reopen(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """Take the question up again."""
    query = get_object_or_404(project.queries, pk=pk)
    return _stay(request, query, lambda: queries.reopen(query=query, actor=request.user), "Taken up again.")


@project_view(Role.REVIEWER)
@require_POST
def flag(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """Flag the question, or take the flag off."""
    query = get_object_or_404(project.queries, pk=pk)
    on = request.POST.get("flagged") == "1"
    act = lambda: queries.flag(query=query, actor=request.user, flagged=on)  # noqa: E731  one line reads best here
    return _stay(request, query, act, "Flagged." if on else "The flag is off.")


@project_view(Role.REVIEWER)
@require_POST
def note(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """Keep a note."""
    query = get_object_or_404(project.queries, pk=pk)
    return _stay(request, query, lambda: None, "The note is saved.")


def screen_context(request: HttpRequest, query: Query, find: str = "") -> dict[str, Any]:
    """What every piece of the screen needs."""
    find = find or _find(request, query)
    return {
        "current_step": "examples", "query": query, "find": find, "grades": GRADES,
        "reasons": queries.SKIP_REASONS, "decisions": selector.strip(query.project, request.user),
        "back": _address(query, find), "same_find": "" if find == query.text else urlencode({"find": find}),
    }  # fmt: skip


def announce(response: HttpResponse, sentence: str) -> HttpResponse:
    """Have the page say something politely, once the fragment is in."""
    return trigger_client_event(response, "sptar:announce", {"value": sentence})


def _write_page(request: HttpRequest, project: Project, form: QuestionsForm, status: int = 200) -> HttpResponse:
    waiting = project.queries.filter(status=Query.Status.OPEN).order_by("pk").only("text", "judged")
    context = {
        "current_step": "examples", "form": form, "waiting": list(waiting[:_QUEUE]),
        "decisions": selector.strip(project, request.user), "back": reverse("label", args=[project.slug]),
        "guideline": guidelines.current(project),
    }  # fmt: skip
    return render(request, "examples/label.html", context, status=status)


def _find(request: HttpRequest, query: Query) -> str:
    """What to search for: the words of the address, else the question."""
    return request.GET.get("find", "").strip()[:_FIND] or query.text


def _address(query: Query, find: str) -> str:
    address = reverse("example", args=[query.project.slug, query.pk])
    return address if find in ("", query.text) else f"{address}?{urlencode({'find': find})}"


def _example_page(request: HttpRequest, query: Query, find: str, note: str, problem: str = "") -> HttpResponse:
    """The whole screen. `note` is what the field shows; with a `problem` it is not what is saved."""
    screen = screen_of(query, find)
    context = {
        **screen_context(request, query, find), "screen": screen,
        "advice": advise(query.project, query.text, titles=screen.titles, query=query.pk),
        "note_form": NoteForm(initial={"note": note, "was": query.note, "seen": query.revision}),
        "note_problem": problem, "guideline": guidelines.current(query.project),
    }  # fmt: skip
    return render(request, "examples/example.html", context, status=422 if problem else 200)


def _say(request: HttpRequest, query: Query, sentence: str, level: str = "") -> HttpResponse:
    """The screen again with a message; htmx gets the list of hits, and has the message read out."""
    find = request.POST.get("find", "")[:_FIND]
    messages.add_message(request, messages.ERROR if level else messages.INFO, sentence, extra_tags=level)
    if not request.htmx:  # type: ignore[attr-defined]
        return redirect(_address(query, find))
    query.refresh_from_db()
    find = find or query.text
    context = {**screen_context(request, query, find), "screen": screen_of(query, find), "with_state": True}
    return announce(render(request, "examples/_hits.html", context), sentence)


def _refuse_note(request: HttpRequest, query: Query) -> HttpResponse | None:
    """Keep the note that came with a step. The screen with what was typed where it cannot be kept, and why."""
    form = NoteForm(request.POST)
    if not form.is_typed():
        return None
    typed, problem = request.POST.get("note", ""), ""
    if form.is_valid():
        given = form.cleaned_data
        try:
            queries.annotate(query=query, actor=request.user, seen=given["seen"], note=given["note"])
        except (Conflict, ValidationError) as error:
            problem = _sentence(error)
    else:
        problem = " ".join(form.errors.get("note", ["This page was too old; press the button once more."]))
    if not problem:
        return None
    query = get_object_or_404(query.project.queries.select_related("author"), pk=query.pk)
    return _example_page(request, query, request.POST.get("find", "")[:_FIND] or query.text, typed, problem)


def _stay(request: HttpRequest, query: Query, act: Any, done: str) -> HttpResponse:
    if refused := _refuse_note(request, query):
        return refused
    try:
        act()
    except (Conflict, ValidationError) as error:
        messages.error(request, _sentence(error), extra_tags="bad")
    else:
        messages.success(request, done, extra_tags="good")
    return redirect(_address(query, request.POST.get("find", "")[:_FIND]))


def _then_next(request: HttpRequest, project: Project, query: Query, act: Any, done: str) -> HttpResponse:
    if refused := _refuse_note(request, query):
        return refused
    try:
        act()
    except (Conflict, ValidationError) as error:
        messages.error(request, _sentence(error), extra_tags="bad")
        return redirect("example", project.slug, query.pk)
    following = selector.next_open(project, after=query.pk)
    sentence = f"{done}: “{queries.shorten(query.text)}”."
    if following is None:
        messages.success(request, f"{sentence} No question waits: write the next one.", extra_tags="good")
        return redirect("label", project.slug)
    messages.success(request, sentence, extra_tags="good")
    return redirect("example", project.slug, following.pk)


def _sentence(error: Conflict | ValidationError) -> str:
    return " ".join(error.messages) if isinstance(error, ValidationError) else str(error)
