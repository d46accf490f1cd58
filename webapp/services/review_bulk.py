"""One verdict on all questions of a filter that nobody has reviewed: asked for, given in batches, taken back."""

from __future__ import annotations

from collections.abc import Sequence

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F, Max
from django.utils import timezone

from webapp.models import BulkReview, Errand, Project, Review, User, Verdict, WeakQuery
from webapp.review_words import REJECT_REASONS, verdict_words
from webapp.selectors.review_list import Filter
from webapp.services import errands, events, guidelines, reviews
from webapp.services.decisions import Conflict

KIND, UNDO_KIND = "review.bulk", "review.bulk_undo"

_ALLOWED = (Verdict.ACCEPT, Verdict.REJECT, Verdict.UNSURE)


def start(*, project: Project, batch: str, chosen: Filter, verdict: str, reason: str = "", actor: User) -> BulkReview:
    """Ask for a verdict on all questions of the filter that have none. A second click finds the first one's work.

    Accepting leaves out what clean-up dropped, as `reviews.give` refuses it.

    Raises ValidationError for a verdict that needs a person to look, an unknown reason, and an empty batch.
    """
    if verdict not in _ALLOWED or (reason and (verdict != Verdict.REJECT or reason not in REJECT_REASONS)):
        raise ValidationError("Many questions at once can be accepted, flagged, or rejected for one of the reasons.")
    with transaction.atomic():
        Project.objects.select_for_update().only("pk").get(pk=project.pk, deleted=None)
        last = WeakQuery.objects.filter(project=project, batch=batch).aggregate(last=Max("pk"))["last"]
        if last is None:
            raise ValidationError("There are no generated questions to review yet.")
        wanted = (chosen.as_dict(), verdict, reason)
        for open_one in project.bulk_reviews.filter(batch=batch, actor=actor, finished_at=None, undone_at=None):
            if (open_one.filters, open_one.verdict, open_one.reason) == wanted:
                return open_one
        made = BulkReview(
            project=project, batch=batch, filters=wanted[0], verdict=verdict, reason=reason, actor=actor, last=last
        )
        made.clean_fields(exclude=["filters"])
        made.save(force_insert=True)
        events.record("review.bulk_started", project=project, actor=actor, bulk=made.pk, verdict=words_of(made))
        errands.ask(kind=KIND, project=project, subject=made.pk, actor=actor)
    return made


def undo(*, bulk: BulkReview, actor: User) -> Errand:
    """Have the verdicts of a bulk action taken back; what is still being given stops. Raises Conflict the second time.

    What a person has said of single questions since stays.
    """
    with transaction.atomic():
        if not BulkReview.objects.filter(pk=bulk.pk, undone_at=None).update(undone_at=timezone.now()):
            raise Conflict("This bulk action was taken back already.")
        events.record("review.bulk_undone", project=bulk.project, actor=actor, bulk=bulk.pk, verdict=words_of(bulk))
        return errands.ask(kind=UNDO_KIND, project=bulk.project, subject=bulk.pk, actor=actor)


def give_batch(*, bulk: BulkReview, ids: Sequence[int]) -> int | None:
    """Give the verdict to those of some questions that have none. Returns how many; None once it is to be taken back.

    To be called inside a transaction. Until that is over nobody can take the action back, so nothing comes after.
    """
    if not BulkReview.objects.select_for_update().filter(pk=bulk.pk, undone_at=None).exists():
        return None
    locked = WeakQuery.objects.select_for_update().filter(pk__in=ids, verdict="").order_by("pk")
    free = list(locked.values_list("pk", flat=True))
    guideline = guidelines.current(bulk.project)
    Review.objects.bulk_create(
        Review(
            weak_id=pk, reviewer_id=bulk.actor_id, verdict=bulk.verdict, reason=bulk.reason, source="bulk", bulk=bulk,
            guideline=guideline,
        )
        for pk in free
    )  # fmt: skip
    WeakQuery.objects.filter(pk__in=free).update(
        verdict=bulk.verdict, reason=bulk.reason, reviewer=bulk.actor_id, reviewed_at=timezone.now()
    )
    BulkReview.objects.filter(pk=bulk.pk).update(questions=F("questions") + len(free))
    return len(free)


def finish(*, bulk: BulkReview) -> None:
    """Say that all questions of the filter have been gone through; to be called inside a transaction."""
    if BulkReview.objects.filter(pk=bulk.pk, finished_at=None, undone_at=None).update(finished_at=timezone.now()):
        bulk.refresh_from_db()
        events.record(
            "review.bulk_done", project=bulk.project, actor=bulk.actor, bulk=bulk.pk, verdict=words_of(bulk),
            questions=bulk.questions,
        )  # fmt: skip


def take_back_batch(*, bulk: BulkReview, limit: int) -> int:
    """Remove some of the verdicts of an action that was taken back. Returns how many; to be called in a transaction."""
    rows = list(Review.objects.filter(bulk=bulk).order_by("pk").values_list("pk", "weak_id")[:limit])
    weak = [weak_id for _, weak_id in rows]
    list(WeakQuery.objects.select_for_update().filter(pk__in=weak).order_by("pk").values_list("pk"))
    # A person may have put their own verdict in its place while we waited for the lock.
    Review.objects.filter(pk__in=[pk for pk, _ in rows], bulk=bulk).delete()
    reviews.refresh(weak)
    return len(rows)


def words_of(bulk: BulkReview) -> str:
    """The verdict in words."""
    return verdict_words(bulk.verdict, bulk.reason)
