"""Work is stopped: by the worker's end, by a person, by a limit, by a full disk. Each says so, and each can go on."""

from __future__ import annotations

import signal
import time

import pytest
from django.utils import timezone

from tests.webapp.jobs.installation import (
    Installation,
    fresh,
    is_alive,
    questions,
    stage_of,
    wait,
    wait_for,
    wait_for_done,
)
from webapp.models import Event, Project, State, WeakQuery
from webapp.services import stages

pytestmark = pytest.mark.processes


@pytest.mark.parametrize("java", [False, True], ids=["without Java", "with Java"])
def test_worker_that_is_asked_to_end_gives_its_work_back(installation: Installation, java: bool) -> None:
    """T05: SIGTERM in mid-shard. The step is queued again, the worker gone in 30 seconds, with a JVM too."""
    made = installation.experiment(documents=12, shard=4)
    stage = stage_of(made)
    installation.set("pace", "0.4")
    if java:
        installation.set("java")
    stages.queue_ready(made)
    worker = installation.start_worker("gpu")
    wait_for_done(stage, 5)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=30) == 0
    stage = fresh(stage)
    assert (stage.state, stage.attempt, stage.crashes, stage.error) == (State.QUEUED, 2, 0, "")
    installation.set("pace", "0")
    installation.start_worker("gpu")
    stage = wait_for(stage, State.DONE, State.FAILED)
    assert (stage.state, stage.attempt) == (State.DONE, 2)
    assert len(questions(stage)) == len({row[1] for row in questions(stage)}) == 12


def test_idle_worker_ends_at_once(installation: Installation) -> None:
    worker = installation.start_worker("gpu")
    wait(lambda: installation.redis.scard("rq:workers") == 1, "the worker listens")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=30) == 0
    assert installation.redis.scard("rq:workers") == 0


@pytest.mark.parametrize("stubborn", [False, True], ids=["which listens", "which ignores it"])
def test_cancelled_step_stops_within_ten_seconds(installation: Installation, stubborn: bool) -> None:
    """T17: called off in mid-shard; also work that sits in a call which does not return."""
    made = installation.experiment(documents=12, shard=4)
    stage = stage_of(made)
    installation.set("pace", "0.3")
    stages.queue_ready(made)
    installation.start_worker("gpu")
    wait_for_done(stage, 2)
    child = installation.child_of(stage)
    if stubborn:
        installation.set("stubborn")
    installation.set("hold")
    time_asked = time.monotonic()
    stages.cancel(work=made, actor=None)
    stage = wait_for(stage, State.CANCELLED, seconds=30)
    wait(lambda: not is_alive(child), "its process is gone", 30)
    assert time.monotonic() - time_asked < 20  # ten on a machine that has nothing else to do
    wait(lambda: fresh(made).state == State.CANCELLED, "the experiment is called off")
    assert Event.objects.filter(verb="experiment.cancelled").exists()
    for name in ("hold", "stubborn", "pace"):
        installation.unset(name)
    assert stages.retry(work=made, actor=None) > 1
    stage = wait_for(stage, State.DONE, State.FAILED)
    assert (stage.state, len(questions(stage))) == (State.DONE, 12)


def test_work_of_a_deleted_project_stops_and_leaves_no_row(installation: Installation) -> None:
    """T17: nobody calls the step off, the project is just gone; no late commit brings a row back."""
    made = installation.experiment(documents=40, shard=2)
    stage = stage_of(made)
    installation.set("pace", "0.3")
    stages.queue_ready(made)
    installation.start_worker("gpu")
    wait_for_done(stage, 5)
    child = installation.child_of(stage)
    Project.objects.update(deleted=timezone.now())
    wait_for(stage, State.CANCELLED, seconds=30)
    wait(lambda: not is_alive(child), "its process is gone", 30)
    count = WeakQuery.objects.count()
    installation.start_reconcile()
    wait(lambda: not made.stages.filter(state__in=[State.QUEUED, State.WAITING]).exists(), "the rest is called off")
    assert WeakQuery.objects.count() == count


def test_rows_deleted_under_running_work_stay_deleted(installation: Installation) -> None:
    """T17: the rows themselves are gone before the work notices."""
    made = installation.experiment(documents=40, shard=2)
    stage = stage_of(made)
    installation.set("pace", "0.3")
    stages.queue_ready(made)
    installation.start_worker("gpu")
    wait_for_done(stage, 3)
    child = installation.child_of(stage)
    WeakQuery.objects.all().delete()
    made.stages.all().delete()
    wait(lambda: not is_alive(child), "its process is gone", 30)
    assert not WeakQuery.objects.exists()


@pytest.mark.parametrize("stubborn", [False, True], ids=["between batches", "inside a call"])
def test_step_over_its_limit_is_timed_out_and_can_go_on(installation: Installation, stubborn: bool) -> None:
    """T15: the shards stay, the state says it, and another try takes them up."""
    made = installation.experiment(documents=12, shard=2)
    stage = stage_of(made)
    installation.set("pace", "0.5")
    stages.queue_ready(made)
    worker = installation.start_worker("gpu", STAGE_TIMEOUT="5")
    wait_for_done(stage, 3)
    child = installation.child_of(stage)
    if stubborn:
        installation.set("stubborn")
        installation.set("hold")
    stage = wait_for(stage, State.FAILED, State.DONE)
    assert stage.state == State.FAILED and stage.error.startswith("Timed out: this took longer than 0:00:05")
    wait(lambda: not is_alive(child), "its process is gone", 10)
    store = installation.folder / "projects" / made.project.slug / "store" / "stages"
    assert list(store.glob("generate-*.attempt-1/scratch/shard-000000-*.jsonl"))
    installation.kill(worker)
    for name in ("hold", "stubborn", "pace"):
        installation.unset(name)
    installation.start_worker("gpu")
    stages.retry(work=stage, actor=None)
    stage = wait_for(stage, State.DONE, State.FAILED)
    assert (stage.state, len(questions(stage))) == (State.DONE, 12)


def test_full_disk_fails_in_words_and_can_be_tried_again(installation: Installation) -> None:
    """T18: what was finished stays, and once there is space the step is done."""
    made = installation.experiment()
    stage = stage_of(made)
    installation.set("leak", "generate")
    stages.queue_ready(made)
    installation.start_worker("gpu")
    stage = wait_for(stage, State.FAILED)
    assert stage.error.startswith("The disk is full") and "free some space" in stage.error
    wait(lambda: fresh(made).state == State.FAILED, "the experiment has failed")
    done = made.stages.filter(state=State.DONE)
    store = installation.folder / "projects" / made.project.slug / "store" / "stages"
    assert done and all((store / one.folder / "result.json").is_file() for one in done)
    installation.unset("leak")
    stages.retry(work=made, actor=None)
    assert wait_for(stage, State.DONE, State.FAILED).state == State.DONE


def test_unforeseen_error_is_said_in_plain_words_with_the_traceback_beside_it(installation: Installation) -> None:
    made = installation.experiment(upto="tune", arms=("inpars", "sptar"))
    stage = stage_of(made, "tune")
    installation.set("boom", "tune")
    stages.queue_ready(made)
    installation.start_worker("gpu")
    stage = wait_for(stage, State.FAILED)
    assert stage.error.startswith("Something went wrong that we did not foresee.")
    assert "a cause that nobody foresaw" in stage.traceback
    # The other arm does not hang on it and goes on; the experiment has failed when nothing can go on any more.
    other = made.stages.get(step_id="package.sptar")
    wait_for(made.stages.get(step_id="evaluate.inpars"), State.DONE, State.FAILED)
    wait(lambda: fresh(made).state == State.FAILED, "the experiment has failed")
    assert fresh(other).state == State.WAITING
    assert set(fresh(made).comparison["arms"]) == {"inpars"}
