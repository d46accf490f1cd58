"""Workers, forks and their children are killed and confused; the work is done once all the same."""

from __future__ import annotations

import os
import signal

import pytest

from tests.webapp.jobs.installation import (
    HEARTBEAT,
    LEASE,
    Installation,
    fresh,
    horse_of,
    is_alive,
    questions,
    resume,
    stage_of,
    suspend,
    wait,
    wait_for,
    wait_for_done,
)
from webapp.models import Event, StageRun, State, WeakQuery
from webapp.services import queueing, stages

pytestmark = pytest.mark.processes


def documents_of(stage: StageRun) -> list[str]:
    return sorted(doc_id for _, doc_id, _ in questions(stage))


def expected(documents: int, without: tuple[str, ...] = ()) -> list[str]:
    return sorted({f"doc-{at}" for at in range(documents)} - set(without))


def test_worker_killed_in_mid_generation_loses_and_doubles_nothing(installation: Installation) -> None:
    """T01: kill -9 of the worker. Its fork and child die with it, and a new worker resumes at the open shard."""
    made = installation.experiment(documents=12, shard=4)
    stage = stage_of(made)
    installation.set("pace", "0.4")
    stages.queue_ready(made)
    worker = installation.start_worker("gpu")
    wait_for_done(stage, 5)  # the first shard is on the disk
    fork, child = horse_of(worker), installation.child_of(stage)
    installation.kill(worker)
    wait(lambda: not is_alive(fork) and not is_alive(child), "fork and child died with the worker", 5)
    written = questions_so_far(stage)
    installation.set("pace", "0")
    installation.start_reconcile()
    installation.start_worker("gpu")
    stage = wait_for(stage, State.DONE, State.FAILED)
    assert (stage.state, stage.attempt, stage.restarts) == (State.DONE, 2, 1)
    assert documents_of(stage) == expected(12)
    assert written <= {row[0] for row in questions(stage)}


def questions_so_far(stage: StageRun) -> set[str]:
    rows = WeakQuery.objects.filter(project=stage.experiment.project)
    return set(rows.values_list("weak_id", flat=True))


def test_fork_killed_and_the_worker_goes_on(installation: Installation) -> None:
    """T02: kill -9 of the fork. The worker lives; the step is begun again and says so."""
    made = installation.experiment(documents=8, shard=4)
    stage = stage_of(made)
    installation.set("pace", "0.4")
    stages.queue_ready(made)
    installation.start_reconcile()
    worker = installation.start_worker("gpu")
    wait_for_done(stage, 2)
    child = installation.child_of(stage)
    os.kill(horse_of(worker), signal.SIGKILL)
    wait(lambda: not is_alive(child), "the child died with the fork", 5)
    installation.set("pace", "0")
    stage = wait_for(stage, State.DONE, State.FAILED)
    assert (stage.state, stage.restarts, worker.poll()) == (State.DONE, 1, None)
    assert documents_of(stage) == expected(8)


def test_child_killed_is_tried_again_at_once(installation: Installation) -> None:
    """T20: the kernel kills the process that needs the memory. Nobody waits for a lease, and there is an end to it."""
    made = installation.experiment(upto="tune")
    stage = stage_of(made, "tune")
    installation.set("crash", "tune")
    stages.queue_ready(made)
    installation.start_worker("gpu")
    stage = wait_for(stage, State.FAILED)
    assert (stage.attempt, stage.crashes) == (3, 3)
    assert stage.error.startswith("Not enough memory, or a crash in a library") and "smaller model" in stage.error
    wait(lambda: fresh(made).state == State.FAILED, "the experiment has failed")


def test_worker_and_fork_killed_and_reconcile_alone_recovers(installation: Installation) -> None:
    """T03: nobody is left to say what happened."""
    made = installation.experiment(documents=8, shard=4)
    stage = stage_of(made)
    installation.set("pace", "0.4")
    stages.queue_ready(made)
    worker = installation.start_worker("gpu")
    wait_for_done(stage, 5)
    fork, child = horse_of(worker), installation.child_of(stage)
    for pid in (child, fork, worker.pid):
        os.kill(pid, signal.SIGKILL)
    worker.wait()
    installation.set("pace", "0")
    installation.start_worker("gpu")
    installation.start_reconcile()
    stage = wait_for(stage, State.DONE, State.FAILED)
    assert stage.state == State.DONE
    assert documents_of(stage) == expected(8)


def test_sleeper_whose_lease_ran_out_writes_nothing_when_it_wakes(installation: Installation) -> None:
    """T06: SIGSTOP until the lease is over, then SIGCONT: its next write hits no row, and it goes."""
    made = installation.experiment(documents=8, shard=4)
    stage = stage_of(made)
    installation.set("hold")
    stages.queue_ready(made)
    installation.start_worker("gpu")
    wait(lambda: fresh(stage).message == "held", "the stage is held")
    child = installation.child_of(stage)
    suspend(child)
    installation.start_reconcile()
    wait(lambda: fresh(stage).attempt == 2, "the lease ran out", LEASE + HEARTBEAT + 30)
    installation.start_worker("gpu")
    wait(lambda: fresh(stage).state == State.RUNNING and fresh(stage).message == "held", "the second attempt runs")
    resume(child)
    wait(lambda: not is_alive(child), "the first attempt gave up", 30)
    assert fresh(stage).state == State.RUNNING
    installation.unset("hold")
    stage = wait_for(stage, State.DONE, State.FAILED)
    assert (stage.state, stage.attempt) == (State.DONE, 2)
    assert documents_of(stage) == expected(8)
    store = installation.folder / "projects" / made.project.slug / "store" / "stages"
    assert not list(store.glob("*.attempt-*"))


def test_two_workers_with_the_same_job_do_it_once(installation: Installation) -> None:
    """T09: the same job twice in the queue, two workers: one works, the other leaves."""
    made = installation.experiment(documents=8, shard=4)
    stage = stage_of(made)
    installation.set("pace", "0.2")
    stages.queue_ready(made)
    stage = fresh(stage)
    assert queueing.enqueue(stage)  # told twice: rq keeps one
    assert installation.redis.llen("rq:queue:gpu") == 1
    installation.redis.rpush("rq:queue:gpu", stage.job_id)  # and now there are really two
    installation.start_worker("gpu")
    installation.start_worker("gpu")
    stage = wait_for(stage, State.DONE, State.FAILED)
    assert (stage.state, stage.attempt) == (State.DONE, 1)
    assert documents_of(stage) == expected(8)


@pytest.mark.parametrize(
    ("culprit", "shard"),
    [
        pytest.param("doc-4", 4, id="first of its shard"),
        pytest.param("doc-6", 4, id="in its shard"),
        pytest.param("doc-11", 11, id="alone in the last shard"),
        pytest.param("doc-0", 1, id="alone in the first shard"),
    ],
)
def test_document_that_crashes_the_model_is_set_aside_and_named(
    installation: Installation, culprit: str, shard: int
) -> None:
    """T21: two crashes at the same place, then the culprit is found, and all others get their questions."""
    made = installation.experiment(documents=12, shard=shard)
    stage = stage_of(made)
    installation.set("poison", culprit)
    stages.queue_ready(made)
    installation.start_worker("gpu")
    stage = wait_for(stage, State.DONE, State.FAILED)
    assert stage.state == State.DONE, stage.error
    assert stage.aside == stage.metrics["set_aside"] == [culprit]
    assert f"'{culprit}'" in stage.metrics["sentence"]
    assert documents_of(stage) == expected(12, without=(culprit,))
    assert WeakQuery.objects.count() == 11  # none is left under the name of the result that was not to be
    store = installation.folder / "projects" / made.project.slug / "store" / "stages"
    assert not list(store.glob("*.attempt-*"))
    assert Event.objects.get(verb="document.set_aside").facts["doc_id"] == culprit


def test_model_that_always_crashes_blames_no_document(installation: Installation) -> None:
    """T21: without one finished document there is nothing to accuse a document by, and there is an end to it."""
    made = installation.experiment(documents=6, shard=6)
    stage = stage_of(made)
    installation.set("crash", "generate")
    stages.queue_ready(made)
    installation.start_worker("gpu")
    stage = wait_for(stage, State.DONE, State.FAILED)
    assert (stage.state, stage.aside) == (State.FAILED, [])
    assert "Not enough memory, or a crash" in stage.error
