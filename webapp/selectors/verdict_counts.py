"""How many verdicts there are on the questions of a batch, counted up to a bound: cheap on every page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db.models import Case, IntegerField, OuterRef, Subquery, Value, When

from webapp.models import Experiment, StageRun, Verdict, WeakQuery

BOUND = 5_000
"""Verdicts of a kind are counted up to here; beyond, another one changes little."""


class _Counted(Subquery):
    """The number of rows of a sliced query, as a column."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) counted)"
    output_field = IntegerField()


@dataclass(frozen=True, slots=True)
class VerdictCounts:
    """The verdicts on an experiment's questions, each kind up to BOUND."""

    accepted: int = 0
    rejected: int = 0
    edited: int = 0
    flagged: int = 0
    used: dict[str, int] = field(default_factory=dict)
    """Those that took part in the experiment's training."""

    @property
    def given(self) -> int:
        """All of them."""
        return self.accepted + self.rejected + self.edited + self.flagged

    @property
    def decided(self) -> int:
        """Those that change a training."""
        return self.accepted + self.rejected + self.edited

    @property
    def are_used(self) -> bool:
        """Whether the experiment was trained with as many of each kind; two that trade places are not noticed."""
        now = {Verdict.ACCEPT: self.accepted, Verdict.REJECT: self.rejected, Verdict.EDIT: self.edited}
        return all(min(self.used.get(verdict, 0), BOUND) == count for verdict, count in now.items())


def columns() -> dict[str, Case]:
    """Columns for rows of StageRun: the verdicts on a generate stage's questions, 0 for other stages."""
    return {f"n_{verdict}": _column(verdict) for verdict in Verdict.values}


def counts_of(experiment: Experiment, stages: Iterable[StageRun]) -> VerdictCounts:
    """The sums over the experiment's rows with `columns`."""
    rows = list(stages)
    accepted, rejected, edited, flagged = (
        min(sum(getattr(row, f"n_{verdict}") for row in rows), BOUND) for verdict in Verdict.values
    )
    return VerdictCounts(accepted, rejected, edited, flagged, experiment.decision_counts)


def _column(verdict: str) -> Case:
    rows = WeakQuery.objects.filter(
        project_id=OuterRef("experiment__project_id"), batch=OuterRef("folder"), verdict=verdict
    )
    counted = _Counted(rows.order_by().values("pk")[:BOUND])
    return Case(When(stage="generate", then=counted), default=Value(0), output_field=IntegerField())
