"""Who has which question before them: a lease keeps others from being shown the same card."""

from __future__ import annotations

from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from webapp.models import Project, ReviewLease, User, WeakQuery
from webapp.review_words import QUEUE
from webapp.selectors.review_queues import free, held, passed, waiting

MINUTES = 10
"""For which a card is kept for its person; then the next one may get it. A late verdict still counts."""

_TRIES = 50
"""Cards that others may snatch away before a person gets none; each that is lost means that somebody else got one."""


def take(*, project: Project, batch: str, actor: User, queue: str = QUEUE) -> WeakQuery | None:
    """The question to show this person now: the one that lies before them, else the next that is free, leased to them.

    `batch` is the folder name of WeakQuery.batch, `queue` one of webapp.review_words.QUEUES. None when nothing waits.
    """
    own = held(project, batch, actor, queue)
    if own is not None and _lease(project, own, actor, queue):
        return own
    for _ in range(_TRIES):
        weak = free(waiting(project, batch, actor, queue), actor).first()
        if weak is None or _lease(project, weak, actor, queue):
            return weak
    return None


def pass_over(*, weak: WeakQuery, actor: User) -> None:
    """Put a card aside: it is shown to nobody for some minutes. Nothing when it lies before somebody else."""
    hold(weak=weak, actor=actor, passed=True)


def take_up(*, project: Project, batch: str, actor: User) -> None:
    """Have what this person passed over come again."""
    passed(project, batch, actor).delete()


def hold(*, weak: WeakQuery, actor: User, passed: bool = False) -> bool:
    """Lease a question to a person, unless it lies before somebody else; whether it is theirs now.

    With `passed` they have passed over it.
    """
    until = timezone.now() + timedelta(minutes=MINUTES)
    free_or_own = Q(until__lte=timezone.now()) | Q(reviewer=actor)
    rows = ReviewLease.objects.filter(free_or_own, weak=weak)
    if rows.update(reviewer=actor, until=until, passed=passed):
        return True
    try:
        with transaction.atomic():
            ReviewLease.objects.create(weak=weak, reviewer=actor, until=until, passed=passed)
    except IntegrityError:  # somebody else has it, or it is no longer there
        return False
    return True


def _lease(project: Project, weak: WeakQuery, actor: User, queue: str) -> bool:
    """Lease it, if it waits still: somebody may have answered it since we looked."""
    with transaction.atomic():
        if not hold(weak=weak, actor=actor):
            return False
        if waiting(project, weak.batch, actor, queue).filter(pk=weak.pk).exists():
            return True
        ReviewLease.objects.filter(weak=weak, reviewer=actor).delete()
    return False
