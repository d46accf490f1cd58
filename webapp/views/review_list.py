"""The list of generated questions, one question with everybody's verdicts, and others that are like it."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_GET

from webapp.access import project_view
from webapp.forms.review import BulkForm, FilterForm
from webapp.models import Project, Role, User, Verdict
from webapp.review_words import LIKENESS, PATTERN_OF_REASON, REJECT_REASONS
from webapp.selectors import review_list as selector
from webapp.selectors.questions import REASONS
from webapp.selectors.review_agreement import reviews_of
from webapp.selectors.review_batches import Batch, batch_or_404, last_filter
from webapp.selectors.review_cards import card_of, titles
from webapp.selectors.review_likeness import beginning
from webapp.selectors.review_list import Filter, Line
from webapp.services import guidelines
from webapp.views.review_pages import number_of, page_context

COUNTED, LOOKED_AT = 10_000, 20_000
"""A preview counts questions up to the one, among the first of the other."""


@project_view(Role.VIEWER)
@require_GET
def listing(request: HttpRequest, project: Project, number: int, arm: str) -> HttpResponse:
    """The questions, filtered, page by page."""
    batch = batch_or_404(project, number, arm)
    form, chosen = read_filter(batch, request.GET)
    places = {"after": number_of(request, "after"), "before": number_of(request, "before")}
    page = selector.page(project, batch.folder, chosen, **places)
    names = titles(batch, (row.doc_id for row in page.rows))
    questions = reverse("review_question", args=[project.slug, number, arm, 0]).removesuffix("0/")
    context = page_context(
        request, batch, form=form, chosen=chosen, page=page,
        rows=[_words(row, names.get(row.doc_id, ""), questions) for row in page.rows], facts=facts_of(form, chosen),
        actions=BulkForm.base_fields["action"].choices, hidden=chosen.as_dict(),
        last_filter=last_filter(project, batch.folder),
    )  # fmt: skip
    return render(request, "review/list.html", context)


@project_view(Role.VIEWER)
@require_GET
def question(request: HttpRequest, project: Project, number: int, arm: str, pk: int) -> HttpResponse:
    """One question with its document, and what everybody said of it."""
    batch = batch_or_404(project, number, arm)
    weak = get_object_or_404(batch.questions.select_related("reviewer"), pk=pk)
    context = page_context(
        request, batch, card=card_of(batch, weak), reviews=reviews_of([weak.pk])[weak.pk], queue="question",
        guideline=guidelines.current(project),
    )  # fmt: skip
    return render(request, "review/question.html", context)


@project_view(Role.EDITOR)
@require_GET
def like(request: HttpRequest, project: Project, number: int, arm: str, pk: int) -> HttpResponse:
    """Ways in which other questions may be like this one, with how many are, and where to reject them all."""
    batch = batch_or_404(project, number, arm)
    weak = get_object_or_404(batch.questions, pk=pk)
    patterns = [(f"{words}{_detail(how, weak.text)}", Filter(like=pk, how=how)) for how, words in LIKENESS.items()]
    if weak.rank is None or weak.rank > 1:
        place = "does not find it" if weak.rank is None else f"finds it at place {weak.rank:,} or later"
        worse = Filter(rank=weak.rank or selector.NOWHERE)
        patterns.append((f"Keyword search {place} when it looks for the document", worse))
    first = PATTERN_OF_REASON.get(weak.reason, "")
    patterns.sort(key=lambda pattern: pattern[1].how != first or not first)
    rows = [(words, _counted(batch, chosen), _bulk(batch, chosen, weak.reason)) for words, chosen in patterns]
    context = page_context(request, batch, weak=weak, patterns=rows, looked_at=LOOKED_AT)
    return render(request, "review/like.html", context)


def read_filter(batch: Batch, data: object) -> tuple[FilterForm, Filter]:
    """The filter of an address or a form, and the form that shows it."""
    members = User.objects.filter(memberships__project=batch.project).order_by("pk")
    people = [(user.pk, str(user)) for user in members.only("name", "email")]
    form = FilterForm(data, dropped=REASONS, people=people)
    return form, Filter(**{name: value for name, value in form.allowed().items() if value})


def facts_of(form: FilterForm, chosen: Filter) -> list[tuple[str, str]]:
    """The filter in words."""
    found = []
    for name, value in chosen.as_dict().items():
        choices = {str(key): words for key, words in getattr(form.fields[name], "choices", ())}
        label = {"like": "Like question", "how": "In this way"}.get(name) or form.fields[name].label
        found.append((str(label), "yes" if value is True else str(choices.get(str(value), value))))
    return found


def _words(row: Line, title: str, questions: str) -> dict[str, Any]:
    """A row of the list: the question with its address below `questions`, its document, why it was dropped or rejected.

    Its id is text: for a number templates ask each time how the language of the page writes it.
    """
    words = {
        "pk": str(row.pk), "address": f"{questions}{row.pk}/", "title": title or row.doc_id,
        "dropped": REASONS.get(row.dropped, row.dropped), "because": REJECT_REASONS.get(row.reason, ""),
    }  # fmt: skip
    return row._asdict() | words


def _detail(how: str, text: str) -> str:
    """What of this question the others share."""
    if how == "start":
        return f": “{beginning(text)} …”"
    count = len(text.split())
    return f": {count} word{'' if count == 1 else 's'}" if how == "short" else ""


def _counted(batch: Batch, chosen: Filter) -> selector.Count:
    open_ones = chosen.open_to(Verdict.REJECT)
    assert open_ones is not None, "a likeness asks for no verdict"
    return selector.count(batch.project, batch.folder, open_ones, limit=COUNTED, look=LOOKED_AT)


def _bulk(batch: Batch, chosen: Filter, reason: str) -> str:
    """The address of the preview that rejects them all."""
    values: dict[str, Any] = {**chosen.as_dict(), "action": f"reject-{reason}" if reason else "reject"}
    address = reverse("review_bulk", args=[batch.project.slug, batch.experiment.number, batch.arm])
    return f"{address}?{urlencode(values)}"
