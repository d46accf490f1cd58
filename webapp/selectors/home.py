"""What a person sees first: their projects, what waits for them, what runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import QuerySet
from django.utils import timezone

from webapp.models import Errand, Experiment, Membership, Project, Role, StageRun, State, User
from webapp.selectors.jobs import ERRANDS
from webapp.selectors.step_facts import Step
from webapp.selectors.steps import OPTIONAL, NextStep, next_step, steps_of_all
from webapp.selectors.words import stage_name

CARDS = 12
"""Projects on a page of Home."""
FRESH = timedelta(days=3)
"""How long a finished experiment is news."""


@dataclass(frozen=True, slots=True)
class Card:
    """A project of the person, with its steps."""

    project: Project
    role: Role
    steps: list[Step]
    next: NextStep | None

    @property
    def done(self) -> int:
        """How many steps are done."""
        return sum(step.state == "done" for step in self.steps)

    @property
    def is_done(self) -> bool:
        """Whether all steps are done that can be."""
        return all(step.state == "done" or step.key in OPTIONAL for step in self.steps)

    @property
    def troubles(self) -> list[Step]:
        """Steps that wait for a person's decision."""
        return [step for step in self.steps if step.state == "attention"]


@dataclass(frozen=True, slots=True)
class Running:
    """Work that goes on or waits in the queue."""

    project: Project
    what: str
    state: State
    done: int
    total: int
    message: str


@dataclass(frozen=True, slots=True)
class News:
    """An experiment that ended lately."""

    experiment: Experiment
    project: Project
    at: datetime
    state: State


@dataclass(frozen=True, slots=True)
class Home:
    """The page. `older` is where the next page of projects starts."""

    cards: list[Card]
    running: list[Running]
    news: list[News]
    older: int | None

    @property
    def has_tasks(self) -> bool:
        """Whether something waits for the person."""
        return bool(self.news) or any(card.troubles or card.next for card in self.cards)

    @property
    def has_sample_project(self) -> bool:
        """Whether the sample is among the projects shown."""
        return any(card.project.is_sample for card in self.cards)


def home_of(user: User, *, before: int | None = None) -> Home:
    """The person's projects, newest membership first, with the work in them."""
    memberships = list(_memberships(user, before)[: CARDS + 1])
    roles = {membership.project_id: Role(membership.role) for membership in memberships}
    steps = steps_of_all([membership.project for membership in memberships[:CARDS]], roles)
    cards = [_card(membership, steps[membership.project_id]) for membership in memberships[:CARDS]]
    older = memberships[CARDS - 1].pk if len(memberships) > CARDS else None
    return Home(cards=cards, running=running_of(user), news=_news(user), older=older)


def running_of(user: User) -> list[Running]:
    """Stages and errands of the person's projects that run or wait in the queue, running ones first."""
    mine = {"memberships__user": user, "deleted": None}
    projects = Project.objects.filter(**mine).values("pk")
    busy = [State.RUNNING, State.QUEUED]
    stages = (
        StageRun.objects.select_related("experiment", "experiment__project")
        .filter(state__in=busy, experiment__project__in=projects)
        .order_by("-pk")[:20]
    )
    errands = Errand.objects.select_related("project").filter(state__in=busy, project__in=projects).order_by("-pk")[:20]
    found = [_running(one.experiment.project, f"{one.experiment}: {stage_name(one.stage)}", one) for one in stages]
    found += [_running(one.project, ERRANDS.get(one.kind, one.kind), one) for one in errands if one.project]
    return sorted(found, key=lambda one: one.state != State.RUNNING)


def _memberships(user: User, before: int | None) -> QuerySet[Membership]:
    found = Membership.objects.select_related("project", "project__corpus").filter(user=user, project__deleted=None)
    if before is not None:
        found = found.filter(pk__lt=before)
    return found.order_by("-pk")


def _card(membership: Membership, steps: list[Step]) -> Card:
    role = Role(membership.role)
    may = role.level >= Role.EDITOR.level
    return Card(membership.project, role, steps, next_step(membership.project, steps) if may else None)


def _news(user: User) -> list[News]:
    ended = (
        Experiment.objects.select_related("project")
        .filter(
            project__memberships__user=user, project__deleted=None, finished_at__gt=timezone.now() - FRESH,
            state__in=[State.DONE, State.FAILED],
        )
        .order_by("-finished_at")[:5]
    )  # fmt: skip
    return [News(one, one.project, one.finished_at, State(one.state)) for one in ended if one.finished_at]


def _running(project: Project, what: str, row: StageRun | Errand) -> Running:
    return Running(project, what, State(row.state), row.done, row.total, row.message)
