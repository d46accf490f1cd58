"""Work of all projects of a person: what runs, what waits, what ended lately and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils import timezone

from webapp.models import Errand, Membership, Project, Role, StageRun, State, User
from webapp.selectors.experiments import left_words
from webapp.selectors.queues import DOES, QueueView, queue_view
from webapp.selectors.words import stage_title

AGAIN = (State.FAILED, State.CANCELLED)
_OPEN = (State.QUEUED, State.RUNNING)
_ROWS = 60  # of a kind
_FINISHED = 12  # rows that are shown
_LATELY = timedelta(days=3)
_ORDER = [State.RUNNING, State.QUEUED, State.FAILED, State.CANCELLED, State.DONE]

ERRANDS = {
    "archive.make": "Make a download",
    "upload.check": "Check an upload",
    "upload.import": "Import documents",
    "corpus.discard": "Clear away a stopped import",
    "corpus.index": "Make documents searchable",
    "corpus.topics": "Find the topics of the documents",
    "experiment.pair": "Compare two experiments",
    "experiment.rescore": "Measure an experiment by new judgements",
    "model.index": "Make a trained search model ready to try",
    "pairs.import": "Import examples",
    "project.delete": "Remove a deleted project",
    "review.bulk": "Review many questions at once",
    "review.bulk_undo": "Take a bulk review back",
    "sample.load": "Load the sample project",
    "sample.start": "Start the sample's experiment",
}

_PLACES = {
    "pairs": "examples", "model": "playground", "archive": "download", "review": "review", "experiment": "compare",
}  # fmt: skip
"""The page that an errand belongs to, by the first word of its kind; all others belong to the documents."""


@dataclass(frozen=True, slots=True)
class Job:
    """A row of the page. `cancel` and `retry` are addresses, empty where that cannot be."""

    key: str
    project: Project
    name: str
    detail: str
    url: str
    state: State
    label: str
    done: int
    total: int
    message: str
    left: str
    error: str
    at: datetime | None
    wait: str
    stopping: bool
    cancel: str
    retry: str


@dataclass(frozen=True, slots=True)
class Jobs:
    """The page: jobs by what they need from a person, and the workers."""

    running: list[Job]
    waiting: list[Job]
    troubled: list[Job]
    finished: list[Job]
    reachable: bool
    workers: list[tuple[str, str, int, str]]
    """Queue, what it is for, how many workers listen, and a sentence when none does."""


def jobs_of(user: User) -> Jobs:
    """Open work first come first; what ended in the last three days, newest first."""
    roles = {row.project_id: Role(row.role) for row in Membership.objects.filter(user=user, project__deleted=None)}
    view = queue_view()
    since = timezone.now() - _LATELY
    jobs = [_of_stage(row, roles, view) for row in _stages(roles, since)]
    jobs += [_of_errand(row, roles, view) for row in _errands(roles, since)]
    by_state: dict[State, list[Job]] = {state: [job for job in jobs if job.state == state] for state in _ORDER}
    ended = sorted(by_state[State.FAILED] + by_state[State.CANCELLED], key=_time, reverse=True)
    return Jobs(
        running=by_state[State.RUNNING],
        waiting=sorted(by_state[State.QUEUED], key=_time),
        troubled=ended,
        finished=sorted(by_state[State.DONE], key=_time, reverse=True)[:_FINISHED],
        reachable=view.reachable,
        workers=[(name, words, len(view.workers.get(name, [])), view.missing(name)) for name, words in DOES.items()],
    )


def count_open(user: User) -> int:
    """Steps and errands that run or wait in the queue, of all projects of the person. One query."""
    mine = Membership.objects.filter(user=user, project__deleted=None).values("project")
    stages = StageRun.objects.filter(state__in=_OPEN, experiment__project__in=mine).values("pk")
    errands = Errand.objects.filter(state__in=_OPEN, project__in=mine).values("pk")
    return stages.union(errands, all=True).count()


def _stages(roles: Mapping[int, Role], since: datetime) -> QuerySet[StageRun]:
    rows = StageRun.objects.filter(experiment__project__in=list(roles)).filter(_wanted(since))
    return (
        rows.select_related("experiment", "experiment__project")
        .defer("config", "inputs", "metrics", "traceback", "experiment__comparison", "experiment__settings")
        .order_by("-id")[:_ROWS]
    )


def _errands(roles: Mapping[int, Role], since: datetime) -> QuerySet[Errand]:
    rows = Errand.objects.filter(project__in=list(roles)).filter(_wanted(since))
    return rows.select_related("project").defer("metrics", "traceback").order_by("-id")[:_ROWS]


def _wanted(since: datetime) -> Q:
    return Q(state__in=_OPEN) | Q(state__in=[*AGAIN, State.DONE], finished_at__gte=since)


def _of_stage(row: StageRun, roles: Mapping[int, Role], view: QueueView) -> Job:
    experiment = row.experiment
    url = reverse("experiment", args=[experiment.project.slug, experiment.number])
    return _job(row, experiment.project, "stage", stage_title(row), str(experiment), url, roles, view)


def _of_errand(row: Errand, roles: Mapping[int, Role], view: QueueView) -> Job:
    assert row.project is not None
    name = ERRANDS.get(row.kind, row.kind)
    place = _PLACES.get(row.kind.partition(".")[0], "documents")
    return _job(row, row.project, "errand", name, "", reverse(place, args=[row.project.slug]), roles, view)


def _job(
    row: StageRun | Errand, project: Project, kind: str, name: str, detail: str, url: str,
    roles: Mapping[int, Role], view: QueueView,
) -> Job:  # fmt: skip
    state = State(row.state)
    may = roles[project.pk].level >= Role.EDITOR.level
    actions = {word: reverse(f"{kind}_{word}", args=[project.slug, row.pk]) for word in ("cancel", "retry")}
    return Job(
        key=f"{kind}-{row.pk}", project=project, name=name, detail=detail, url=url, state=state, label=state.label,
        done=row.done, total=row.total, message=row.message, left=left_words(row), error=row.error,
        at=row.finished_at or row.started_at or row.queued_at, wait=view.sentence(row),
        stopping=row.cancel_requested is not None and state == State.RUNNING,
        cancel=actions["cancel"] if may and state in _OPEN else "",
        retry=actions["retry"] if may and state in AGAIN else "",
    )  # fmt: skip


def _time(job: Job) -> datetime:
    return job.at or timezone.now()
