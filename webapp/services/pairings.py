"""Asking whether one experiment is better than another: tested in a process of its own, on the questions they share."""

from __future__ import annotations

from webapp.models import Errand, Experiment, User
from webapp.selectors import measured
from webapp.selectors.compared_pairs import KIND, subject_of
from webapp.services import errands


class NothingToCompare(Exception):
    """The two cannot be compared. The text says why."""


def ask(*, before: Experiment, after: Experiment, actor: User) -> Errand:
    """Have `after` tested against `before`, which are of one project. Raises NothingToCompare."""
    if before.pk == after.pk:
        raise NothingToCompare("These are the same experiment. Choose two different ones.")
    for one in (before, after):
        if not measured.runs_of(one):
            raise NothingToCompare(f"Nothing of experiment {one.number} is measured yet.")
    arguments = {"before": before.pk, "after": after.pk}
    return errands.ask(
        kind=KIND, project=after.project, subject=subject_of(before, after), actor=actor, arguments=arguments
    )
