"""How many verdicts there are on an experiment's questions, counted up to a bound: cheap on every page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Case, Exists, IntegerField, OuterRef, QuerySet, Subquery, Value, When

from webapp.models import Review, Verdict, WeakQuery
from webapp.selectors.questions import USABLE
from webapp.selectors.review_queues import SAMPLE_SIZE

BOUND = 5_000
"""Verdicts of a kind are counted up to here; beyond, another one changes little."""


class Counted(Subquery):
    """The number of rows of a sliced query, as a column."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) counted)"
    output_field = IntegerField()


@dataclass(frozen=True, slots=True)
class VerdictCounts:
    """The verdicts on an experiment's questions, each kind up to BOUND.

    `brought_back` are those accepted although the filter had dropped them; `sample` and `looked_at` are of the random
    sample, that of the arm where it is further.
    """

    accepted: int = 0
    rejected: int = 0
    edited: int = 0
    flagged: int = 0
    brought_back: int = 0
    sample: int = 0
    looked_at: int = 0
    used: dict[str, int] = field(default_factory=dict)
    """Those that took part in the experiment's training."""

    @property
    def given(self) -> int:
        """All of them."""
        return self.accepted + self.rejected + self.edited + self.flagged

    @property
    def is_sampled(self) -> bool:
        """Whether all of the random sample is looked at."""
        return 0 < self.sample == self.looked_at

    @property
    def are_used(self) -> bool:
        """Whether a training with these verdicts would learn from what the experiment's own did, as numbers tell.

        Accepting what is kept anyway changes nothing. Two verdicts that trade places are not noticed.
        """
        now = {Verdict.REJECT: self.rejected, Verdict.EDIT: self.edited}
        if self.brought_back:
            now[Verdict.ACCEPT] = self.accepted
        return all(min(self.used.get(verdict, 0), BOUND) == count for verdict, count in now.items())


def columns() -> dict[str, Case]:
    """Columns for rows of StageRun: the verdicts on a generate stage's questions, 0 for other stages."""
    found = {f"n_{verdict}": _column(_questions().filter(verdict=verdict), BOUND) for verdict in Verdict.values}
    dropped = [reason for reason in USABLE if reason]
    brought_back = _questions().filter(verdict=Verdict.ACCEPT, dropped__in=dropped)
    drawn = _questions(OuterRef).filter(dropped="").order_by("draw", "id").values("pk")[:SAMPLE_SIZE]
    looked_at = WeakQuery.objects.filter(Exists(Review.objects.filter(weak=OuterRef("pk"), bulk=None)), pk__in=drawn)
    return found | {
        "n_back": _column(brought_back, BOUND),
        "n_sample": _column(_questions().filter(dropped=""), SAMPLE_SIZE),
        "n_looked_at": _column(looked_at.order_by(), SAMPLE_SIZE),
    }


def counts_of(used: dict[str, int], rows: Sequence[Mapping[str, int]]) -> VerdictCounts:
    """The sums over an experiment's rows with `columns`; `used` is its Experiment.decision_counts."""
    accepted, rejected, edited, flagged = (
        min(sum(row[f"n_{verdict}"] for row in rows), BOUND) for verdict in Verdict.values
    )
    looked_at, sample = max(((row["n_looked_at"], row["n_sample"]) for row in rows), default=(0, 0))
    return VerdictCounts(
        accepted, rejected, edited, flagged, brought_back=sum(row["n_back"] for row in rows), sample=sample,
        looked_at=looked_at, used=used,
    )  # fmt: skip


def _questions(nested: Callable[[OuterRef], Any] = lambda name: name) -> QuerySet[WeakQuery]:
    """Those of the row's batch; with `OuterRef` for a query inside of another one."""
    project, batch = OuterRef("experiment__project_id"), OuterRef("folder")
    return WeakQuery.objects.filter(project_id=nested(project), batch=nested(batch)).order_by()


def _column(rows: QuerySet[Any], bound: int) -> Case:
    counted = Counted(rows.values("pk")[:bound])
    return Case(When(stage="generate", then=counted), default=Value(0), output_field=IntegerField())
