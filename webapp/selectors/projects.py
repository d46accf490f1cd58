"""A project at a glance."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Q

from webapp.models import Experiment, Project, Query, Role
from webapp.selectors.events import Line, recent
from webapp.selectors.step_facts import Step
from webapp.selectors.steps import NextStep, next_step, steps_of


@dataclass(frozen=True, slots=True)
class Overview:
    """What the overview page shows."""

    steps: list[Step]
    next: NextStep
    documents: int
    corpus_number: int | None
    examples: int
    splits: dict[str, int]
    members: int
    experiment: Experiment | None
    events: list[Line]


def overview_of(project: Project, role: Role | None = None) -> Overview:
    """Steps and what is next for that role, counts, the latest experiment and the last events."""
    steps = steps_of(project, role)
    examples = (
        project.queries.filter(relevant__gt=0)
        .exclude(status=Query.Status.SKIPPED)
        .aggregate(all=Count("pk"), **{split: Count("pk", filter=Q(split=split)) for split in ("train", "dev", "test")})
    )
    corpus = project.corpus
    return Overview(
        steps=steps,
        next=next_step(project, steps, role),
        documents=corpus.documents if corpus else 0,
        corpus_number=corpus.number if corpus else None,
        examples=examples.pop("all"),
        splits=examples,
        members=project.memberships.count(),
        experiment=project.experiments.order_by("-number").first(),
        events=recent(project, 8),
    )
