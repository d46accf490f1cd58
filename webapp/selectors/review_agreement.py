"""How far reviewers agree, who has reviewed how much, and on what they disagree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q, Sum

from webapp.models import BulkReview, Project, Review, User, Verdict, WeakQuery
from webapp.review_words import QUEUES
from webapp.selectors.agreement import FEW, Agreement, measure
from webapp.selectors.review_queues import of_people

_AT_ONCE = 10
"""Disagreements on a page."""
_CLASSES = {Verdict.ACCEPT.value: 0, Verdict.EDIT.value: 1, Verdict.REJECT.value: 2}


@dataclass(frozen=True, slots=True)
class Pairing:
    """Two people: agreement on whether a question is of any use, and on the exact verdict."""

    one: str
    other: str
    use: Agreement
    verdicts: Agreement

    @property
    def is_few(self) -> bool:
        """Whether it is measured on too few questions to lean on."""
        return self.verdicts.n < FEW


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A question with different verdicts, nobody's settled. `reviews` are those of people, the first one first."""

    weak: WeakQuery
    reviews: list[Review]
    all_reviews: list[Review]


def pairings(project: Project, batch: str) -> list[Pairing]:
    """Each two people of whom one gave a second opinion, blind, after the other; most in common first.

    Flags are no answers and stay out.
    """
    found: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for verdicts in _by_question(project, batch).values():
        for one, other in combinations(sorted(verdicts), 2):
            found[one, other].append((_CLASSES[verdicts[one]], _CLASSES[verdicts[other]]))
    names = {user.pk: str(user) for user in User.objects.filter(pk__in={pk for pair in found for pk in pair})}
    made = [
        Pairing(names[one], names[other], measure([(_use(a), _use(b)) for a, b in pairs]), measure(pairs))
        for (one, other), pairs in found.items()
    ]
    return sorted(made, key=lambda pairing: (-pairing.verdicts.n, pairing.one, pairing.other))


def people(project: Project, batch: str) -> list[dict[str, Any]]:
    """How many questions each person has reviewed, by verdict, how often as a second, and how many by bulk actions."""
    one_by_one = Q(settled=False)
    rows = (
        Review.objects.filter(bulk=None, reviewer__isnull=False, weak__project=project, weak__batch=batch)
        .values("reviewer_id")
        .annotate(
            reviewed=Count("pk", filter=one_by_one),
            second=Count("pk", filter=Q(source="second")),
            settled_n=Count("pk", filter=Q(settled=True)),
            **{name: Count("pk", filter=one_by_one & Q(verdict=name)) for name in Verdict.values},
        )
    )
    found = {row["reviewer_id"]: {**row, "bulk": 0} for row in rows}
    bulk = BulkReview.objects.filter(project=project, batch=batch, undone_at=None, actor__isnull=False)
    for row in bulk.values("actor_id").annotate(questions_n=Sum("questions")):
        empty = dict.fromkeys(("reviewed", "second", "settled_n", *Verdict.values), 0)
        found.setdefault(row["actor_id"], {"reviewer_id": row["actor_id"], **empty})["bulk"] = row["questions_n"]
    names = {user.pk: str(user) for user in User.objects.filter(pk__in=found)}
    made = [{**row, "who": names[pk]} for pk, row in found.items()]
    return sorted(made, key=lambda row: (-row["reviewed"], -row["bulk"], row["who"]))


def disagreements(project: Project, batch: str) -> tuple[list[Disagreement], bool]:
    """The first questions on which people disagree, and whether there are more."""
    rows = WeakQuery.objects.filter(project=project, batch=batch, disputed=True).order_by("pk")
    found = list(rows[: _AT_ONCE + 1])
    reviews = reviews_of([weak.pk for weak in found])
    items = [Disagreement(weak, _of_people(reviews[weak.pk]), reviews[weak.pk]) for weak in found[:_AT_ONCE]]
    return items, len(found) > _AT_ONCE


def disputed(project: Project, batch: str) -> int:
    """How many there are, counted up to 1,000."""
    rows = WeakQuery.objects.filter(project=project, batch=batch, disputed=True)
    return rows.order_by().values("pk")[:1000].count()


def reviews_of(weak: Sequence[int]) -> dict[int, list[Review]]:
    """All reviews of some questions, in the order of time."""
    found: dict[int, list[Review]] = {pk: [] for pk in weak}
    for review in Review.objects.filter(weak_id__in=weak).select_related("reviewer").order_by("pk"):
        found[review.weak_id].append(review)
    return found


def _of_people(rows: Sequence[Review]) -> list[Review]:
    return [row for row in rows if row.bulk_id is None]


def _by_question(project: Project, batch: str) -> dict[int, dict[int, str]]:
    """Verdicts by person for each question that has a second opinion, those that were given blind.

    Whoever changes theirs on a page that lists everybody's (source list) is no longer blind.
    """
    second = Review.objects.filter(weak=OuterRef("weak"), source="second")
    rows = of_people().filter(Exists(second), weak__project=project, weak__batch=batch, reviewer__isnull=False)
    rows = rows.filter(source__in=list(QUEUES))
    found: dict[int, dict[int, str]] = defaultdict(dict)
    clear = rows.exclude(verdict=Verdict.UNSURE)
    for weak, reviewer, verdict in clear.values_list("weak_id", "reviewer_id", "verdict").iterator():
        found[weak][reviewer] = verdict
    return found


def _use(verdict: int) -> int:
    return int(verdict != _CLASSES[Verdict.REJECT])
