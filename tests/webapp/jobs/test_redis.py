"""Redis is away, forgets everything, or holds what it should not; the rows are what counts."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import django_rq
import pytest
from django.db import transaction

from tests.webapp.jobs.installation import (
    Installation,
    fresh,
    questions,
    stage_of,
    wait,
    wait_for,
    wait_for_done,
)
from webapp.jobs.worker import make_worker
from webapp.models import Errand, State
from webapp.selectors import queues
from webapp.services import errands, stages

pytestmark = pytest.mark.processes


def test_work_asked_for_in_a_transaction_that_is_rolled_back_leaves_no_job(installation: Installation) -> None:
    """T11."""
    with transaction.atomic():
        errands.ask(kind="upload.check", project=None, subject=1, actor=None)
        transaction.set_rollback(True)
    assert not Errand.objects.exists()
    assert installation.redis.keys("rq:*") == []


def test_redis_down_at_commit_keeps_the_row_and_runs_it_later(installation: Installation) -> None:
    """T12."""
    made = installation.experiment()
    stage = stage_of(made)
    installation.stop_redis()
    stages.queue_ready(made)
    stage = fresh(stage)
    assert stage.state == State.QUEUED
    assert queues.wait_of(stage).startswith("Waiting for the queue")
    installation.start_redis()
    installation.start_reconcile()
    installation.start_worker("gpu")
    stage = wait_for(stage, State.DONE, State.FAILED)
    assert (stage.state, stage.attempt) == (State.DONE, 1)


@pytest.mark.parametrize("how", ["restarted", "flushed"])
def test_redis_lost_in_mid_run_disturbs_nothing(installation: Installation, how: str) -> None:
    """T13: the run ends, progress goes on meanwhile, and the same worker takes what comes next."""
    made = installation.experiment(documents=12, shard=4)
    stage = stage_of(made)
    installation.set("pace", "0.4")
    stages.queue_ready(made)
    installation.start_reconcile()
    worker = installation.start_worker("gpu")
    wait_for_done(stage, 3)
    if how == "restarted":
        installation.stop_redis()
        wait_for_done(stage, 6)
        installation.start_redis()
    else:
        installation.redis.flushall()
        wait_for_done(stage, 6)
    installation.set("pace", "0")
    stage = wait_for(stage, State.DONE, State.FAILED)
    assert (stage.state, stage.attempt, len(questions(stage))) == (State.DONE, 1, 12)
    keep = stage_of(made, "filter")
    assert wait_for(keep, State.DONE, State.FAILED).state == State.DONE
    assert worker.poll() is None
    wait(lambda: queues.queue_view().workers["gpu"], "the worker is known again")


def test_worker_waits_for_a_redis_that_is_not_there_yet(installation: Installation) -> None:
    made = installation.experiment()
    installation.stop_redis()
    worker = installation.start_worker("gpu")
    stages.queue_ready(made)
    wait(lambda: "Redis cannot be reached" in installation.said(), "the worker says what it waits for")
    installation.start_redis()
    installation.start_reconcile()
    assert wait_for(stage_of(made), State.DONE, State.FAILED).state == State.DONE
    assert worker.poll() is None


def put_job(installation: Installation, job_id: str, data: bytes, **fields: str) -> None:
    """Write a job into Redis as anybody who can reach it could."""
    about = {"created_at": "2026-01-01T00:00:00.000000Z", "origin": "gpu", "status": "queued", "timeout": "60"}
    installation.redis.hset(f"rq:job:{job_id}", mapping={**about, **fields, "data": zlib.compress(data)})
    installation.redis.rpush("rq:queue:gpu", job_id)


def test_job_that_names_another_function_is_refused_unseen(installation: Installation, tmp_path: Path) -> None:
    """rq imports any dotted name that it finds in Redis; our workers run two functions and nothing else."""
    trace = tmp_path / "executed"
    call = json.dumps(["os.system", None, [f"touch {trace}"], {}]).encode()
    put_job(installation, "evil", call)
    ours = json.dumps(["webapp.tasks.run_errand", None, [0, 1], {}]).encode()
    callback = {"success_callback_name": "os.abort", "failure_callback_name": "os.abort"}
    put_job(installation, "callbacks", ours, **callback)
    text = json.dumps(["webapp.tasks.run_errand", None, ["1; touch x", 1], {}]).encode()
    put_job(installation, "text", text)
    worker = installation.run_command("worker", "gpu", "--burst")
    said = (worker.stdout + worker.stderr).decode()
    assert worker.returncode == 0, said
    assert "RefusedJob: The job evil names no task of ours" in said
    assert "RefusedJob: The job text names no task of ours" in said
    assert "callbacks: Job OK" in said.replace("\n", " ") or "Job OK (callbacks)" in said
    assert not trace.exists()


def test_broken_jobs_of_others_hold_up_no_recovery(installation: Installation) -> None:
    """T16: a job whose data cannot be read, and one whose failure callback raises, stand before lost work."""
    made = installation.experiment()
    stages.queue_ready(made)
    stage = stage_of(made)
    installation.redis.flushall()  # the job is lost
    put_job(installation, "broken", b"\x80\x04not a job")
    ours = json.dumps(["webapp.tasks.run_stage", None, ["x", 1], {}]).encode()
    put_job(installation, "raising", ours, failure_callback_name="webapp.tasks.no_such_function")
    installation.redis.zadd("rq:wip:gpu", {"broken:1": 1, "raising:1": 1})  # "running" since long ago
    installation.start_reconcile()
    worker = installation.start_worker("gpu")
    stage = wait_for(stage, State.DONE, State.FAILED)
    assert (stage.state, worker.poll()) == (State.DONE, None)


def test_job_lost_between_queue_and_worker_is_queued_again(installation: Installation) -> None:
    """A worker died after it took the job and before it began: Redis still knows the job, but no queue holds it."""
    made = installation.experiment()
    stages.queue_ready(made)
    stage = fresh(stage_of(made))
    installation.redis.delete("rq:queue:gpu")
    assert django_rq.get_queue("gpu").fetch_job(stage.job_id) is not None
    installation.start_reconcile()
    installation.start_worker("gpu")
    stage = wait_for(stage, State.DONE, State.FAILED)
    assert (stage.state, stage.attempt) == (State.DONE, 2)


def test_queue_is_described_in_words(installation: Installation) -> None:
    made = installation.experiment(upto="tune", arms=("inpars", "sptar"))
    stages.queue_ready(made)
    tune, select = stage_of(made, "tune"), made.stages.get(step_id="select.inpars")
    assert queues.wait_of(tune).startswith("No worker is listening on the gpu queue")
    installation.set("hold")
    installation.start_worker("gpu")
    assert queues.wait_of(wait_for(tune, State.RUNNING)) == ""
    view = queues.queue_view()
    assert view.position(select) == 1 and view.sentence(select) == "Next in the queue."
    assert len(view.workers["gpu"]) == 1 and view.workers["short"] == []
    assert view.missing("gpu") == "" and view.missing("short").startswith("No worker is listening on the short")


def test_errand_asked_for_twice_is_one(installation: Installation) -> None:
    """T10: a second click gets the first one's row, and there is one job."""
    first = errands.ask(kind="upload.check", project=None, subject=7, actor=None)
    again = errands.ask(kind="upload.check", project=None, subject=7, actor=None)
    assert first == again
    assert installation.redis.llen("rq:queue:short") == 1
    made = installation.experiment()
    assert [stages.queue_ready(made), stages.queue_ready(made)] == [1, 0]
    assert installation.redis.llen("rq:queue:gpu") == 1


def test_redis_that_hangs_holds_a_page_for_seconds_and_a_worker_may_wait_for_its_next_job(
    installation: Installation, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{installation.environment['REDIS_URL']}&{settings.REDIS_LIMITS}"
    monkeypatch.setitem(settings.RQ_QUEUES["gpu"], "URL", url)
    page = django_rq.get_connection("gpu").connection_pool.connection_kwargs["socket_timeout"]
    worker = make_worker(["gpu"])
    assert page <= 5
    assert worker.connection.connection_pool.connection_kwargs["socket_timeout"] > worker.dequeue_timeout
