"""Whole experiments through one worker: rows, curves, questions, comparison, and what the worker's parent holds."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import OperationalError, connections

from tests.webapp.jobs.fake_engine import EPOCHS
from tests.webapp.jobs.installation import ROOT, Installation, fresh, questions, stage_of, wait, wait_for
from webapp.models import CurvePoint, Errand, Event, State, WeakQuery
from webapp.places import experiment_folder, log_file
from webapp.services import errands, events, stages

pytestmark = pytest.mark.processes

_HEAVY = ("torch", "transformers", "jnius", "pyserini", "sentence_transformers", "peft", "numpy", "scipy")


def memory_of(pid: int) -> int:
    """Resident memory in MiB."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) // 1024


def threads_of(pid: int) -> int:
    found = re.search(r"Threads:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1])


def test_experiment_goes_through_one_worker_and_again_for_nothing(installation: Installation) -> None:
    """T08: nothing hangs, the worker's parent stays small; done again, every result comes from the store."""
    made = installation.experiment(documents=20, shard=8, arms=("bm25", "sptar"), upto="prepare")
    stages.queue_ready(made)
    worker = installation.start_worker("gpu", "cpu")
    wait_for(stage_of(made, "prepare"), State.DONE)
    before = memory_of(worker.pid)
    wait(lambda: State(fresh(made).state).is_over, "the experiment is over")
    made = fresh(made)
    assert made.state == State.DONE and made.finished_at is not None

    generate, keep = stage_of(made), stage_of(made, "filter")
    assert not any(made.stages.values_list("reused", flat=True))
    assert WeakQuery.objects.filter(batch=generate.folder).count() == 20
    assert WeakQuery.objects.filter(dropped="short").count() == 2  # what clean-up dropped, with its reason
    assert WeakQuery.objects.filter(dropped="rank", rank=None).count() == 3
    assert WeakQuery.objects.filter(dropped="", rank__isnull=False).count() == 15 == keep.metrics["kept"]

    points = CurvePoint.objects.filter(stage_run=stage_of(made, "tune"))
    assert [(one.step, one.values["heldout_perplexity"]) for one in points.order_by("step")] == [
        (epoch, 20.0 - epoch) for epoch in range(EPOCHS + 1)
    ]
    assert CurvePoint.objects.filter(stage_run=stage_of(made, "train")).count() == 21
    assert set(made.comparison["arms"]) == {"bm25", "sptar"}
    assert made.comparison["arms"]["sptar"]["versus"]["bm25"]["verdict"] == "better"
    told = json.loads((experiment_folder(made) / "experiment.json").read_text())
    assert told["complete"] and len(told["steps"]) == made.stages.count()
    assert log_file(generate).exists()
    assert Event.objects.filter(verb="experiment.done", project=made.project).count() == 1

    again = installation.experiment(documents=20, shard=8, arms=("bm25", "sptar"), upto="prepare", project=made.project)
    stages.queue_ready(again)
    wait(lambda: State(fresh(again).state).is_over, "the second experiment is over")
    assert fresh(again).state == State.DONE
    assert all(again.stages.filter(position__gte=stage_of(again).position).values_list("reused", flat=True))
    assert questions(stage_of(again)) == questions(generate) and WeakQuery.objects.count() == 20
    assert CurvePoint.objects.filter(stage_run=stage_of(again, "train")).count() == 21
    assert memory_of(worker.pid) - before < 50
    assert threads_of(worker.pid) == 1


def test_two_experiments_that_want_the_same_result_share_it(installation: Installation) -> None:
    """Two workers, the same work twice in one project: the second waits for the first and takes its result."""
    first = installation.experiment(documents=8, shard=4)
    second = installation.experiment(documents=8, shard=4, project=first.project)
    installation.set("pace", "0.3")
    for made in (first, second):
        stages.queue_ready(made)
        installation.start_worker("gpu")
    done = [wait_for(stage_of(made), State.DONE, State.FAILED) for made in (first, second)]
    assert [stage.state for stage in done] == [State.DONE, State.DONE]
    assert sorted(stage.reused for stage in done) == [False, True]
    assert questions(done[0]) == questions(done[1]) and WeakQuery.objects.count() == 8


def test_worker_holds_neither_torch_nor_java_and_one_thread(installation: Installation) -> None:
    """T07: after an errand and a step, in the very process that forks."""
    made = installation.experiment()
    stages.queue_ready(made)
    errands.ask(kind="test.count", project=None, subject=1, actor=None, arguments={"steps": 3})
    code = (
        "import sys, threading, django; django.setup()\n"
        "from django.core.management import call_command\n"
        "call_command('worker', 'short', 'gpu', '--burst')\n"
        f"held = sorted(set({_HEAVY!r}) & set(sys.modules))\n"
        "print('held', held, 'threads', threading.active_count())\n"
        "from django.db import connections\n"
        "print('connected', [one.connection for one in connections.all(initialized_only=True)])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=installation.environment, capture_output=True, text=True,
        timeout=90, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "held [] threads 1" in ran.stdout
    assert "connected [None]" in ran.stdout or "connected []" in ran.stdout
    assert fresh(stage_of(made)).state == State.DONE
    assert Errand.objects.get().state == State.DONE


def test_errand_killed_in_the_middle_goes_on_where_it_stood(installation: Installation) -> None:
    errand = errands.ask(kind="test.count", project=None, subject=1, actor=None, arguments={"steps": 8, "pace": 0.3})
    installation.start_worker("short")
    wait(lambda: Event.objects.filter(verb="errand.stepped").count() >= 3, "some steps are done")
    running = wait_for(errand, State.RUNNING)
    os.kill(installation.child_of(running), signal.SIGKILL)
    errand = wait_for(errand, State.DONE, State.FAILED)
    assert (errand.state, errand.attempt, errand.metrics) == (State.DONE, 2, {"steps": 8})
    steps = [event.facts["step"] for event in Event.objects.filter(verb="errand.stepped").order_by("id")]
    assert steps == list(range(8))


def test_errand_that_cannot_be_done_says_why(installation: Installation) -> None:
    errand = errands.ask(kind="test.count", project=None, subject=1, actor=None, arguments={"steps": -1})
    installation.start_worker("short")
    errand = wait_for(errand, State.FAILED)
    assert errand.error == "-1 steps: give 0 or more."


def test_database_file_is_never_locked_for_anybody(installation: Installation) -> None:
    """T23: a worker writes shards, the web writes, eight threads read; all at once, and none is turned away."""
    made = installation.experiment(documents=120, shard=2)
    installation.set("pace", "0.05")
    stages.queue_ready(made)
    installation.start_worker("gpu")
    stage = wait_for(stage_of(made), State.RUNNING)
    over = threading.Event()
    refused: list[OperationalError] = []
    settings = dict(connections["default"].settings_dict)

    def repeat(action: Callable[[], object]) -> None:
        """In a thread, which has a connection of its own."""
        connection = connections["default"]
        connection.settings_dict = settings
        try:
            while not over.wait(0.01):
                action()
        except OperationalError as error:
            refused.append(error)
        finally:
            connection.close()

    reads = [lambda: list(WeakQuery.objects.values_list("text", flat=True)), lambda: fresh(stage)] * 4
    writes = [lambda: events.record("page.opened", project=made.project, actor=None)] * 2
    threads = [threading.Thread(target=repeat, args=(action,)) for action in [*reads, *writes]]
    for thread in threads:
        thread.start()
    stage = wait_for(stage, State.DONE, State.FAILED)
    over.set()
    for thread in threads:
        thread.join()
    assert refused == []
    assert stage.state == State.DONE, stage.error
    assert "locked" not in installation.said()
    assert len(questions(stage)) == 120
    assert Event.objects.filter(verb="page.opened").count() > 100
