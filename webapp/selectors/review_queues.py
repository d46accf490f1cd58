"""What waits to be reviewed, and in which order: the random sample, the risky ones, second opinions."""

from __future__ import annotations

from collections.abc import Callable

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from webapp.models import Project, Review, ReviewLease, User, WeakQuery
from webapp.review_words import QUEUE, SAMPLE, SECOND

SAMPLE_SIZE = 50
_AHEAD = 100
"""Second opinions that are looked up at once: more than any number of people have before them."""


def waiting(project: Project, batch: str, actor: User, queue: str) -> QuerySet[WeakQuery]:
    """The questions of a queue that this person may be shown, in order, whether or not somebody has one now."""
    return _QUEUES[queue](project, batch, actor)


def free(rows: QuerySet[WeakQuery], actor: User) -> QuerySet[WeakQuery]:
    """Those that lie before nobody else now, and that this person has not just passed over."""
    leases = ReviewLease.objects.filter(weak=OuterRef("pk"), until__gt=timezone.now())
    return rows.filter(~Exists(leases.exclude(reviewer=actor, passed=False)))


def held(project: Project, batch: str, actor: User, queue: str) -> WeakQuery | None:
    """The question of the queue that lies before this person now."""
    leases = ReviewLease.objects.filter(reviewer=actor, passed=False, until__gt=timezone.now())
    ids = list(leases.filter(weak__project=project, weak__batch=batch).values_list("weak_id", flat=True))
    # By id, so that no plan reads a million questions to find the one.
    return waiting(project, batch, actor, queue).filter(pk__in=ids).first() if ids else None


def passed(project: Project, batch: str, actor: User) -> QuerySet[ReviewLease]:
    """What this person has passed over lately."""
    rows = ReviewLease.objects.filter(reviewer=actor, passed=True, until__gt=timezone.now())
    return rows.filter(weak__project=project, weak__batch=batch)


def standing(project: Project, batch: str, actor: User, queue: str) -> str:
    """How a queue stands for a person without a card: ready, passed (only what they passed over), others or done."""
    rows = waiting(project, batch, actor, queue)
    if free(rows, actor).exists():
        return "ready"
    if passed(project, batch, actor).exists():
        return "passed"
    return "others" if rows.exists() else "done"


def sample_ids(project: Project, batch: str) -> list[int]:
    """The random sample of what is kept: the same questions for everybody and every time."""
    rows = WeakQuery.objects.filter(project=project, batch=batch, dropped="").order_by("draw", "id")
    return list(rows.values_list("pk", flat=True)[:SAMPLE_SIZE])


def of_people() -> QuerySet[Review]:
    """Verdicts of people who looked at the question, own opinions only: no bulk action, no settling."""
    return Review.objects.filter(bulk=None, settled=False)


def _sample(project: Project, batch: str, actor: User) -> QuerySet[WeakQuery]:
    """Of the sample, what nobody has looked at; a bulk action did not look."""
    seen = Review.objects.filter(weak=OuterRef("pk"), bulk=None)
    rows = WeakQuery.objects.filter(pk__in=sample_ids(project, batch))
    return rows.filter(~Exists(seen)).order_by("draw", "id")


def _risky(project: Project, batch: str, actor: User) -> QuerySet[WeakQuery]:
    rows = WeakQuery.objects.filter(project=project, batch=batch, dropped="", verdict="")
    return rows.order_by(F("risk").desc(), "id")


def _second(project: Project, batch: str, actor: User) -> QuerySet[WeakQuery]:
    """What exactly one other person has looked at, the earliest first; begun from the reviews, which are fewer."""
    others = Review.objects.filter(weak=OuterRef("weak")).exclude(pk=OuterRef("pk"))
    taken = Q(settled=True) | Q(bulk=None)
    rows = of_people().filter(weak__project=project, weak__batch=batch).exclude(reviewer=actor)
    own = Review.objects.filter(weak=OuterRef("weak"), reviewer=actor)
    lone = rows.filter(~Exists(others.filter(taken)), ~Exists(own), ~Exists(_elsewhere(actor)))
    ids = list(lone.order_by("pk").values_list("weak_id", flat=True)[:_AHEAD])
    return WeakQuery.objects.filter(pk__in=ids).order_by("pk")


def _elsewhere(actor: User) -> QuerySet[ReviewLease]:
    """The lease by which a review's question lies before somebody else, or was passed over."""
    leases = ReviewLease.objects.filter(weak=OuterRef("weak"), until__gt=timezone.now())
    return leases.exclude(reviewer=actor, passed=False)


_QUEUES: dict[str, Callable[[Project, str, User], QuerySet[WeakQuery]]] = {
    SAMPLE: _sample, QUEUE: _risky, SECOND: _second,
}  # fmt: skip
