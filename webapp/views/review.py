"""Reviewing generated questions one by one: the overview, the cards, verdicts, passing over, undo."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from webapp.access import project_view
from webapp.forms.review import VerdictForm
from webapp.models import Project, Role, WeakQuery
from webapp.review_words import QUEUE, QUEUES, SAMPLE, verdict_words
from webapp.selectors import review_batches
from webapp.selectors.review_agreement import disputed, people
from webapp.selectors.review_batches import Batch, batch_or_404, last_filter
from webapp.selectors.review_cards import card_of, unreviewed
from webapp.selectors.review_queues import held, standing
from webapp.selectors.review_sample import sample_of
from webapp.services import guidelines, review_leases, reviews
from webapp.services.decisions import Conflict
from webapp.views.labelling import announce
from webapp.views.review_pages import page_context, sentence, wants_scores

_BULK_SHOWN = 5


@project_view(Role.VIEWER)
@require_GET
def start(request: HttpRequest, project: Project) -> HttpResponse:
    """On to the newest experiment's questions; a page that says what is missing while there are none."""
    batch = review_batches.newest(project)
    if batch is not None:
        return redirect("review_batch", project.slug, batch.experiment.number, batch.arm)
    return render(request, "review/empty.html", {"current_step": "review"})


@project_view(Role.VIEWER)
@require_GET
def overview(request: HttpRequest, project: Project, number: int, arm: str) -> HttpResponse:
    """How good the questions are, what waits, who did what, and bulk actions with their undo."""
    batch = batch_or_404(project, number, arm)
    bulk = project.bulk_reviews.filter(batch=batch.folder).select_related("actor").order_by("-pk")[:_BULK_SHOWN]
    context = page_context(
        request, batch, sample=sample_of(project, batch.folder), left=unreviewed(batch),
        people=people(project, batch.folder), disputed=disputed(project, batch.folder), bulk=list(bulk),
        batches=review_batches.latest(project), last_filter=last_filter(project, batch.folder),
    )  # fmt: skip
    return render(request, "review/overview.html", context)


@project_view(Role.VIEWER)
@require_GET
def cards(request: HttpRequest, project: Project, number: int, arm: str, queue: str) -> HttpResponse:
    """The card that lies before this person; without one, a button that takes the next."""
    batch = batch_or_404(project, number, _known(queue) and arm)
    context = _desk(request, batch, queue, _held(request, batch, queue))
    context |= {"guideline": guidelines.current(project), "last_filter": last_filter(project, batch.folder)}
    return render(request, "review/cards.html", context)


@project_view(Role.REVIEWER)
@require_POST
def next_card(request: HttpRequest, project: Project, number: int, arm: str, queue: str) -> HttpResponse:
    """Take the next card; with `again`, those that were passed over come back first."""
    batch = batch_or_404(project, number, _known(queue) and arm)
    if request.POST.get("again"):
        review_leases.take_up(project=project, batch=batch.folder, actor=request.user)
    return _next(request, batch, queue, "")


@project_view(Role.REVIEWER)
@require_POST
def give(request: HttpRequest, project: Project, number: int, arm: str, pk: int) -> HttpResponse:
    """Keep a verdict; then the next card, or the page that it came from."""
    batch = batch_or_404(project, number, arm)
    weak = get_object_or_404(batch.questions, pk=pk)
    form = VerdictForm(request.POST)
    queue = request.POST.get("queue", "")
    try:
        if not form.is_valid():
            raise ValidationError("That was no verdict that can be kept. Nothing was saved; press once more.")
        given = form.cleaned_data
        made = reviews.give(
            project=project, actor=request.user, weak=weak, verdict=given["verdict"], reason=given["reason"],
            text=given["text"], source=queue if queue in QUEUES else "list",
        )  # fmt: skip
    except ValidationError as error:
        return _refuse(request, batch, queue, weak, sentence(error))
    said = f"Saved: {verdict_words(made.verdict, made.reason)}."
    if queue in QUEUES:
        return _next(request, batch, queue, said)
    messages.success(request, said, extra_tags="good")
    return redirect(f"{_question(batch, weak)}{'?scores=1' if wants_scores(request) else ''}")


@project_view(Role.REVIEWER)
@require_POST
def skip(request: HttpRequest, project: Project, number: int, arm: str, pk: int) -> HttpResponse:
    """Pass over a card; on to the next."""
    batch = batch_or_404(project, number, arm)
    weak = get_object_or_404(batch.questions, pk=pk)
    queue = request.POST.get("queue", "")
    review_leases.pass_over(weak=weak, actor=request.user)
    return _next(request, batch, queue if queue in QUEUES else QUEUE, "Passed over.")


@project_view(Role.REVIEWER)
@require_POST
def undo(request: HttpRequest, project: Project, number: int, arm: str, pk: int) -> HttpResponse:
    """Take one of one's own steps back; its question lies before one again."""
    batch = batch_or_404(project, number, arm)
    steps = project.review_steps.select_related("weak").filter(actor=request.user, weak__batch=batch.folder)
    step = get_object_or_404(steps, pk=pk)
    queue = request.POST.get("queue", "")
    try:
        weak = reviews.undo(project=project, actor=request.user, step=step)
    except (Conflict, ValidationError) as error:
        return _refuse(request, batch, queue, None, sentence(error))
    said = f"Taken back: {verdict_words(step.verdict)}."
    if queue in QUEUES and not step.settling:
        return _answer(request, batch, queue, weak, said)
    messages.success(request, said, extra_tags="good")
    return redirect(_question(batch, weak))


def _known(queue: str) -> bool:
    if queue not in QUEUES:
        raise Http404("There is no such queue.")
    return True


def _held(request: HttpRequest, batch: Batch, queue: str) -> WeakQuery | None:
    return held(batch.project, batch.folder, request.user, queue)


def _next(request: HttpRequest, batch: Batch, queue: str, said: str) -> HttpResponse:
    weak = review_leases.take(project=batch.project, batch=batch.folder, actor=request.user, queue=queue)
    return _answer(request, batch, queue, weak, said)


def _answer(request: HttpRequest, batch: Batch, queue: str, weak: WeakQuery | None, said: str) -> HttpResponse:
    """The desk with this card: a fragment for htmx, else by way of the page."""
    if not request.htmx:  # type: ignore[attr-defined]
        return redirect(_address(batch, queue, wants_scores(request)))
    response = render(request, "review/_desk.html", _desk(request, batch, queue, weak))
    return announce(response, said) if said else response


def _refuse(request: HttpRequest, batch: Batch, queue: str, weak: WeakQuery | None, problem: str) -> HttpResponse:
    """The same card with what is wrong; what was typed stays."""
    if queue in QUEUES and request.htmx:  # type: ignore[attr-defined]
        context = _desk(request, batch, queue, weak or _held(request, batch, queue))
        context |= {"problem": problem, "typed": request.POST.get("text", "")}
        return announce(render(request, "review/_desk.html", context, status=422), problem)
    messages.error(request, problem, extra_tags="bad")
    if queue in QUEUES:
        return redirect(_address(batch, queue, wants_scores(request)))
    return redirect(_question(batch, weak) if weak else _overview(batch))


def _desk(request: HttpRequest, batch: Batch, queue: str, weak: WeakQuery | None) -> dict[str, Any]:
    """What the desk shows: the card, or how the queue stands for this person."""
    is_sample = queue == SAMPLE
    return page_context(
        request, batch, queue=queue, queue_name=QUEUES[queue], card=card_of(batch, weak) if weak else None,
        standing="" if weak else standing(batch.project, batch.folder, request.user, queue),
        sample=sample_of(batch.project, batch.folder) if is_sample else None,
        left=None if weak is None or queue != QUEUE else unreviewed(batch),
    )  # fmt: skip


def _address(batch: Batch, queue: str, scores: bool) -> str:
    address = reverse("review_cards", args=[batch.project.slug, batch.experiment.number, batch.arm, queue])
    return f"{address}?scores=1" if scores else address


def _overview(batch: Batch) -> str:
    return reverse("review_batch", args=[batch.project.slug, batch.experiment.number, batch.arm])


def _question(batch: Batch, weak: WeakQuery) -> str:
    return reverse("review_question", args=[batch.project.slug, batch.experiment.number, batch.arm, weak.pk])
