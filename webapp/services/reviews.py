"""Verdicts on generated questions: given, taken back, settled.

Each is one transaction that begins by locking the question, so that two people at once, or one person's second click,
come one after the other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from webapp.chunks import chunks
from webapp.models import BulkReview, Project, Review, ReviewLease, ReviewStep, User, Verdict, WeakQuery
from webapp.review_words import REJECT_REASONS, SOURCES, verdict_words
from webapp.selectors.questions import CLEANED_UP, REASONS
from webapp.selectors.review_effects import WANTED
from webapp.selectors.review_verdicts import in_order, is_disputed, state_of
from webapp.services import events, guidelines, review_leases
from webapp.services.decisions import Conflict
from webapp.services.queries import clean, shorten

_FIELDS = ("verdict", "text", "reason", "source", "bulk_id")


def give(
    *,
    project: Project,
    actor: User,
    weak: WeakQuery,
    verdict: str,
    reason: str = "",
    text: str = "",
    source: str = "queue",
) -> Review:
    """Keep a person's verdict on a question; their earlier one, if any, is replaced, and other people's stay.

    The same verdict again changes nothing. An edit (`text`) that leaves the question as it is counts as accepting it.
    Raises ValidationError for a verdict, reason, text or source that is not allowed, also for one that would use what
    clean-up dropped, and for a question that the project does not have.
    """
    if source not in SOURCES:
        raise ValidationError(f"“{source[:40]}” is no source of a verdict; allowed are {', '.join(SOURCES)}.")
    with _locked(project, weak) as row:
        values = _checked(row, verdict, reason, text)
        given = list(row.reviews.all())
        mine = next((one for one in given if one.reviewer_id == actor.pk and not one.settled), None)
        if mine is None or mine.bulk_id is not None or any(getattr(mine, name) != values[name] for name in values):
            mine = _write(project, actor, row, mine, given, {**values, "source": source, "bulk_id": None})
            said = verdict_words(mine.verdict, mine.reason)
            events.record(
                "review.given", project=project, actor=actor, weak=row.pk, text=shorten(row.text), verdict=said
            )
        ReviewLease.objects.filter(Q(reviewer=actor) | Q(until__lte=timezone.now()), weak=row).delete()
    return mine


def settle(
    *, project: Project, actor: User, weak: WeakQuery, verdict: str, reason: str = "", text: str = "", seen: str
) -> Review:
    """Decide a disagreement; everybody's own verdict stays. `seen` is `state_of` the verdicts that were shown.

    Raises ValidationError as `give` and where there is nothing to settle, and Conflict when the verdicts have changed.
    """
    with _locked(project, weak) as row:
        values = _checked(row, verdict, reason, text)
        if values["verdict"] == Verdict.UNSURE:
            raise ValidationError("A disagreement is settled by a verdict, not by a flag.")
        rows = list(row.reviews.all())
        if len({one.reviewer_id for one in rows if one.bulk_id is None and not one.settled}) < 2:
            raise ValidationError("There is nothing to settle: only one person has reviewed this question.")
        if state_of(rows) != seen:
            raise Conflict(
                "The verdicts on this question have changed meanwhile. Nothing was settled: look at them as they are "
                "now and settle again if you still want to."
            )
        before = next((one for one in rows if one.settled), None)
        made = _write(
            project, actor, row, before, rows, {**values, "source": "settling", "bulk_id": None}, settled=True
        )
        said = verdict_words(made.verdict, made.reason)
        events.record("review.settled", project=project, actor=actor, weak=row.pk, text=shorten(row.text), verdict=said)
    return made


def undo(*, project: Project, actor: User, step: ReviewStep) -> WeakQuery:
    """Put a person's verdict back as it was before the step. Returns the question, which lies before them again.

    Raises Conflict when it was taken back already, or changed again since.
    """
    with _locked(project, step.weak) as row:
        if not ReviewStep.objects.filter(pk=step.pk, actor=actor, undone=None).update(undone=timezone.now()):
            raise Conflict("This step was taken back already.")
        later = ReviewStep.objects.filter(weak=row, settling=step.settling, pk__gt=step.pk, undone=None)
        if (later if step.settling else later.filter(actor=actor)).exists():
            raise Conflict(
                f"The verdict on “{shorten(row.text)}” was changed again since. Take later steps back first, or change "
                "it by hand."
            )
        _restore(row, actor, step)
        refresh([row.pk])
        events.record("review.undone", project=project, actor=actor, weak=row.pk, text=shorten(row.text))
        review_leases.hold(weak=row, actor=actor)
    row.refresh_from_db()
    return row


def refresh(weak: Collection[int]) -> None:
    """Bring what counts for these questions into line with their reviews; to be called inside a transaction."""
    for some in chunks(weak):
        reviews: dict[int, list[Review]] = defaultdict(list)
        for review in Review.objects.filter(weak_id__in=some):
            reviews[review.weak_id].append(review)
        without = [pk for pk in some if pk not in reviews]
        if without:
            WeakQuery.objects.filter(pk__in=without).update(**_NOTHING)
        changed = [WeakQuery(pk=pk, **_counting(given)) for pk, given in reviews.items()]
        WeakQuery.objects.bulk_update(changed, list(_NOTHING), batch_size=100)


_NOTHING = {
    "verdict": "", "edited": "", "reason": "", "reviewer_id": None, "reviewed_at": None, "disputed": False,
}  # fmt: skip


def _counting(reviews: list[Review]) -> dict[str, Any]:
    """What counts, as the columns of the question."""
    first = in_order(reviews)[0]
    return {
        "verdict": first.verdict, "edited": first.text, "reason": first.reason, "reviewer_id": first.reviewer_id,
        "reviewed_at": first.at, "disputed": is_disputed(reviews),
    }  # fmt: skip


@contextmanager
def _locked(project: Project, weak: WeakQuery) -> Iterator[WeakQuery]:
    """The question, in a transaction in which nobody else writes a verdict on it."""
    with transaction.atomic():
        row = WeakQuery.objects.select_for_update().filter(pk=weak.pk, project=project).first()
        if row is None:
            raise ValidationError("There is no such question in this project any more.", code="unknown_question")
        yield row


def _checked(row: WeakQuery, verdict: str, reason: str, text: str) -> dict[str, str]:
    """Verdict, reason and text as they are kept."""
    if verdict not in Verdict.values:
        raise ValidationError(f"“{verdict[:40]}” is no verdict; allowed are {', '.join(Verdict.values)}.")
    if reason and (verdict != Verdict.REJECT or reason not in REJECT_REASONS):
        allowed = ", ".join(REJECT_REASONS)
        raise ValidationError(f"“{reason[:40]}” is no reason here; a rejection may have one of {allowed}.")
    if verdict in WANTED and row.dropped in CLEANED_UP:
        raise ValidationError(
            f"Clean-up dropped this question ({REASONS[row.dropped]}), and no training can use it. It can be rejected "
            "or flagged."
        )
    if verdict == Verdict.EDIT:
        text = clean(text)
        return {"verdict": verdict, "reason": "", "text": text} if text != row.text else _ACCEPTED
    if text:
        raise ValidationError("Only an edit has a text.")
    return {"verdict": verdict, "reason": reason, "text": ""}


_ACCEPTED = {"verdict": Verdict.ACCEPT.value, "reason": "", "text": ""}


def _write(
    project: Project,
    actor: User,
    row: WeakQuery,
    review: Review | None,
    given: list[Review],
    values: dict[str, Any],
    *,
    settled: bool = False,
) -> Review:
    """Keep the verdict in `review`, one of those `given`, or a new one, and, for the undo, what was there before."""
    before = {name: getattr(review, name) for name in _FIELDS} if review else {}
    if review and settled:
        before["reviewer_id"] = review.reviewer_id
    made = review or Review(weak=row, settled=settled)
    made.reviewer, made.guideline = actor, guidelines.current(project)
    for name, value in values.items():
        setattr(made, name, value)
    made.clean_fields(exclude=["weak", "reviewer", "guideline", "bulk"])
    made.save()
    ReviewStep.objects.create(
        project=project, actor=actor, weak=row, settling=settled, before=before, verdict=made.verdict
    )
    now = given if review else [*given, made]
    WeakQuery.objects.filter(pk=row.pk).update(**_counting(now))
    return made


def _restore(row: WeakQuery, actor: User, step: ReviewStep) -> None:
    """The review as it was; a bulk action that was taken back meanwhile leaves nothing to go back to."""
    whose = {"settled": True} if step.settling else {"settled": False, "reviewer": actor}
    review = Review.objects.filter(weak=row, **whose).first()
    if review is None:
        return
    before = dict(step.before)
    bulk = before.get("bulk_id")
    if not before or (bulk is not None and not BulkReview.objects.filter(pk=bulk, undone_at=None).exists()):
        review.delete()
        return
    for name, value in before.items():
        setattr(review, name, value)
    review.save()
