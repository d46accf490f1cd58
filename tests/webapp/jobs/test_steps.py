"""Steps of an experiment are queued as their inputs come in, called off and tried again with what hangs on them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from tests.webapp.jobs.installation import Installation, fresh
from webapp.jobs import leases
from webapp.jobs.reconcile import Reconciler
from webapp.models import Event, Experiment, Project, StageRun, State, User
from webapp.services import stages

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_redis", "fake_stages")]

Make = Callable[..., Experiment]


@pytest.fixture
def make(data_dir: Path) -> Make:
    return Installation(data_dir, data_dir / "none.sock", "").experiment


def states(made: Experiment) -> dict[str, str]:
    return dict(made.stages.order_by("position").values_list("step_id", "state"))


def move(made: Experiment, state: State, *steps: str) -> None:
    made.stages.filter(step_id__in=steps).update(state=state)


def test_only_steps_whose_inputs_are_all_done_are_queued(make: Make) -> None:
    made = make(arms=("inpars", "sptar"), upto="tune")
    assert stages.queue_ready(made) == 2
    queued = {step for step, state in states(made).items() if state == State.QUEUED}
    assert queued == {"tune", "select.inpars"}
    move(made, State.DONE, "tune")
    assert stages.queue_ready(made) == 1
    assert states(made)["select.sptar"] == State.QUEUED
    assert made.stages.get(step_id="select.sptar").attempt == 1


def test_experiment_is_queued_then_running_then_done(make: Make) -> None:
    made = make(arms=("bm25",), upto="prepare")
    stages.settle(made)
    assert made.state == State.QUEUED
    move(made, State.RUNNING, "prepare")
    stages.settle(made)
    assert made.state == State.RUNNING
    move(made, State.DONE, "prepare", "evaluate.bm25")
    stages.settle(made)
    assert made.state == State.DONE and made.finished_at is not None
    stages.settle(made)
    assert Event.objects.filter(verb="experiment.done").count() == 1


def test_failure_blocks_what_hangs_on_it_and_nothing_else(make: Make) -> None:
    made = make(arms=("inpars", "sptar"), upto="tune")
    move(made, State.FAILED, "tune")
    stages.settle(made)
    assert made.state == State.RUNNING  # the arm inpars goes on
    rest = [step for step in states(made) if "inpars" in step]
    move(made, State.DONE, *rest)
    stages.settle(made)
    assert made.state == State.FAILED
    assert states(made)["generate.sptar"] == State.WAITING


def test_cancelled_experiment_stops_what_waits_and_asks_what_runs(make: Make, owner: User) -> None:
    made = make(upto="tune")
    move(made, State.RUNNING, "tune")
    stages.cancel(work=made, actor=owner)
    assert made.state == State.RUNNING
    assert made.stages.get(step_id="tune").cancel_requested is not None
    assert states(made)["generate.sptar"] == State.CANCELLED
    move(made, State.CANCELLED, "tune")
    stages.settle(made)
    assert made.state == State.CANCELLED
    assert Event.objects.get(verb="experiment.cancelled").actor == owner


def test_cancelled_step_takes_along_what_hangs_on_it(make: Make, owner: User) -> None:
    made = make(arms=("inpars", "sptar"), upto="tune")
    stages.queue_ready(made)
    stages.cancel(work=made.stages.get(step_id="tune"), actor=owner)
    found = states(made)
    assert found["tune"] == found["select.sptar"] == found["package.sptar"] == State.CANCELLED
    assert found["select.inpars"] == State.QUEUED and found["train.inpars"] == State.WAITING
    assert Event.objects.get(verb="stage.cancelled").facts == {"experiment": 1, "step": "tune"}


def test_retry_begins_again_with_the_failed_step(make: Make, owner: User) -> None:
    made = make(upto="tune")
    made.stages.filter(step_id="tune").update(
        state=State.FAILED, attempt=3, crashes=3, error="why", traceback="how", done=5, aside=["doc-1"]
    )
    stages.settle(made)
    assert made.state == State.FAILED
    assert stages.retry(work=made, actor=owner) == 1
    tune = made.stages.get(step_id="tune")
    assert (tune.state, tune.attempt, tune.crashes, tune.error, tune.traceback) == (State.QUEUED, 4, 0, "", "")
    assert tune.aside == ["doc-1"]
    assert fresh_experiment(made).state == State.RUNNING and fresh_experiment(made).finished_at is None
    assert Event.objects.get(verb="experiment.retried").actor == owner
    assert stages.retry(work=made, actor=owner) == 0


@pytest.mark.parametrize("last", ["queue_ready", "settle"])
def test_retry_that_dies_half_way_leaves_everything_as_it_was(
    make: Make, owner: User, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    """Reset steps of an experiment that stays failed would wait for ever: nobody looks after it."""

    def die(experiment: Experiment) -> None:
        raise RuntimeError(f"killed before {last}")

    made = make(upto="tune")
    made.stages.filter(step_id="tune").update(state=State.FAILED, error="why")
    stages.settle(made)
    monkeypatch.setattr(stages, last, die)
    with pytest.raises(RuntimeError, match="killed"):
        stages.retry(work=made, actor=owner)
    assert made.stages.get(step_id="tune").error == "why"
    assert fresh_experiment(made).state == State.FAILED


def test_retry_of_a_step_brings_back_what_it_needs_and_what_hangs_on_it(make: Make, owner: User) -> None:
    made = make(arms=("inpars", "sptar"), upto="tune")
    made.stages.exclude(state=State.DONE).update(state=State.CANCELLED)
    stages.retry(work=made.stages.get(step_id="generate.sptar"), actor=owner)
    found = states(made)
    assert found["tune"] == State.QUEUED
    assert found["select.sptar"] == found["generate.sptar"] == found["package.sptar"] == State.WAITING
    assert found["select.inpars"] == State.CANCELLED


def fresh_experiment(made: Experiment) -> Experiment:
    return Experiment.objects.get(pk=made.pk)


def test_reconcile_queues_what_was_left_waiting(make: Make) -> None:
    """The process that finished the last input died before it queued the next step."""
    made = make(upto="tune")
    Reconciler().run()
    assert states(made)["tune"] == State.QUEUED


def test_reconcile_calls_off_the_work_of_a_deleted_project(make: Make) -> None:
    made = make(upto="tune")
    stages.queue_ready(made)
    Project.objects.update(deleted=timezone.now())
    Reconciler().run()
    assert not made.stages.filter(state__in=[State.WAITING, State.QUEUED]).exists()
    assert StageRun.objects.filter(state=State.CANCELLED).exists()


def test_reconcile_settles_an_experiment_whose_last_process_died(make: Make) -> None:
    made = make(upto="tune")
    made.stages.update(state=State.DONE)
    Reconciler().run()
    assert fresh_experiment(made).state == State.DONE


def test_reconcile_takes_a_lease_that_ran_out_and_no_other(make: Make) -> None:
    made = make(arms=("inpars", "sptar"), upto="tune")
    stages.queue_ready(made)
    gone, alive = (made.stages.get(step_id=step) for step in ("tune", "select.inpars"))
    for stage in (gone, alive):
        assert leases.claim(StageRun, stage.pk, 1) is not None
    StageRun.objects.filter(pk=gone.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    Reconciler().run()
    gone, alive = fresh(gone), fresh(alive)
    assert (gone.state, gone.attempt, gone.crashes) == (State.QUEUED, 2, 1)
    assert (alive.state, alive.attempt, alive.crashes) == (State.RUNNING, 1, 0)


def test_retry_gives_a_live_lease_to_nobody(make: Make, owner: User) -> None:
    made = make(upto="tune")
    move(made, State.RUNNING, "tune")
    assert stages.retry(work=made, actor=owner) == 0
    assert fresh(made.stages.get(step_id="tune")).state == State.RUNNING
