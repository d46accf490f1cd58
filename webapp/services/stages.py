"""The steps of an experiment as work: queueing what can begin, calling off, trying again, and how it all stands."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from django.db import transaction
from django.db.models.functions import Now

from sptar_engine.pipeline import GIVEN
from webapp.models import Experiment, StageRun, State, User
from webapp.services import events, queueing

_FRESH = {
    "state": State.WAITING, "owner": "", "lease_until": None, "cancel_requested": None, "crashes": 0, "restarts": 0,
    "reached": 0, "done": 0, "total": 0, "message": "", "metrics": {}, "error": "", "traceback": "", "queued_at": None,
    "started_at": None, "finished_at": None, "seconds": None, "peak_mib": 0, "reused": False, "folder": "",
    "digest": "",
}  # fmt: skip


def queue_ready(experiment: Experiment) -> int:
    """Queue every waiting step whose inputs are all done, and return how many those were.

    To be called after the transaction that finished a step: two steps that finish at the same moment do not see each
    other's end before.
    """
    with transaction.atomic():
        stages = list(StageRun.objects.filter(experiment=experiment).defer("metrics", "config", "traceback"))
        done = {stage.step_id for stage in stages if stage.state == State.DONE}
        ready = [stage for stage in stages if stage.state == State.WAITING and sources(stage) <= done]
        return sum(queueing.requeue(stage, State.WAITING) for stage in ready)


def settle(experiment: Experiment) -> None:
    """Bring the experiment's own state into line with its steps'; its row is locked, so that the last one wins."""
    with transaction.atomic():
        if Experiment.objects.select_for_update().filter(pk=experiment.pk).first() is None:
            return  # deleted with its project
        state = _state_of(list(StageRun.objects.filter(experiment=experiment).defer("metrics", "config", "traceback")))
        rows = Experiment.objects.filter(pk=experiment.pk).exclude(state=state)
        changed = rows.update(state=state, finished_at=Now() if state.is_over else None)
        if changed and state in (State.DONE, State.FAILED):  # what a person called off has its event already
            events.record(f"experiment.{state}", project=experiment.project, actor=None, experiment=experiment.number)
    experiment.refresh_from_db(fields=["state", "finished_at"])


def cancel(*, work: Experiment | StageRun, actor: User | None) -> None:
    """Call off an experiment, or a step with what hangs on it: running steps stop within ten seconds."""
    experiment = work if isinstance(work, Experiment) else work.experiment
    with transaction.atomic():
        stages = list(StageRun.objects.filter(experiment=experiment).only("step_id", "inputs", "equal"))
        wanted = stages if work is experiment else _with_dependents(stages, {work.pk})
        if _stop([stage.pk for stage in wanted]):
            facts = {"step": work.step_id} if isinstance(work, StageRun) else {}
            events.record(
                "experiment.cancelled" if work is experiment else "stage.cancelled",
                project=experiment.project, actor=actor, experiment=experiment.number, **facts,
            )  # fmt: skip
    settle(experiment)
    work.refresh_from_db()


def retry(*, work: Experiment | StageRun, actor: User | None) -> int:
    """Try failed and cancelled steps again, with what hangs on them, and return how many those are.

    What was finished stays: shards, checkpoints and results are used again. A step may be asked for again while
    others of its experiment run.
    """
    experiment = work if isinstance(work, Experiment) else work.experiment
    with transaction.atomic():
        stages = list(StageRun.objects.filter(experiment=experiment).only("step_id", "inputs", "equal", "state"))
        over = {stage.pk for stage in stages if stage.state in (State.FAILED, State.CANCELLED)}
        if isinstance(work, StageRun):
            over &= {stage.pk for stage in _family(stages, work.pk)}
        again = StageRun.objects.filter(pk__in=over, state__in=[State.FAILED, State.CANCELLED]).update(**_FRESH)
        if again:
            events.record("experiment.retried", project=experiment.project, actor=actor, experiment=experiment.number)
            queue_ready(experiment)
            settle(experiment)  # in the same transaction: reconcile looks after open experiments alone
    if again:
        queue_ready(experiment)  # what became ready by a step that ended meanwhile
    work.refresh_from_db()
    return again


def sources(stage: StageRun) -> set[str]:
    """The steps whose results a step waits for: those that it reads, and those whose kept questions limit its own."""
    return {source for source in stage.inputs.values() if source not in GIVEN} | set(stage.equal)


def _stop(ids: Iterable[int]) -> int:
    rows = StageRun.objects.filter(pk__in=list(ids))
    waiting = rows.filter(state__in=[State.WAITING, State.QUEUED])
    stopped = waiting.update(state=State.CANCELLED, cancel_requested=Now(), finished_at=Now())
    return stopped + rows.filter(state=State.RUNNING, cancel_requested=None).update(cancel_requested=Now())


def _state_of(stages: Collection[StageRun]) -> State:
    """RUNNING as long as something may still happen: a step that waits for a failed one never begins."""
    states = {stage.state for stage in stages}
    if states <= {State.DONE}:
        return State.DONE
    stuck = _blocked(stages)
    alive = [stage for stage in stages if not State(stage.state).is_over and stage.step_id not in stuck]
    if not alive:
        return State.FAILED if State.FAILED in states else State.CANCELLED
    begun = states & {State.RUNNING, State.DONE, State.FAILED, State.CANCELLED}
    return State.RUNNING if begun else State.QUEUED


def _blocked(stages: Collection[StageRun]) -> set[str]:
    """Steps that failed or were called off, and those that hang on them."""
    dead = {stage.pk for stage in stages if stage.state in (State.FAILED, State.CANCELLED)}
    return {stage.step_id for stage in _with_dependents(stages, dead)}


def _with_dependents(stages: Collection[StageRun], chosen: set[int]) -> list[StageRun]:
    """The chosen steps and all that read their results, directly or not."""
    names = {stage.step_id for stage in stages if stage.pk in chosen}
    while more := {stage.step_id for stage in stages if sources(stage) & names} - names:
        names |= more
    return [stage for stage in stages if stage.step_id in names]


def _family(stages: Collection[StageRun], chosen: int) -> list[StageRun]:
    """A step, all that it reads and all that read it: what has to be done again so that it can be."""
    by_name = {stage.step_id: stage for stage in stages}
    names = {stage.step_id for stage in stages if stage.pk == chosen}
    while more := {source for name in names for source in sources(by_name[name])} - names:
        names |= more
    return _with_dependents(stages, {chosen}) + [by_name[name] for name in names if by_name[name].pk != chosen]
