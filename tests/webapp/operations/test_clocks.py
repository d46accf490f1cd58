"""T22: the clocks of hosts differ by an hour. Leases go by the database's clock, so nothing runs twice."""

from __future__ import annotations

import pytest

from tests.webapp.jobs.installation import Installation, questions, stage_of, wait_for
from webapp.models import State
from webapp.services import stages

pytestmark = pytest.mark.processes

SHIFTED = "tests.webapp.operations.shifted_settings"
HOUR = 3600


@pytest.mark.parametrize(("worker", "reconcile"), [(HOUR, 0), (-HOUR, 0), (0, HOUR), (0, -HOUR), (HOUR, -HOUR)])
def test_a_jumped_clock_neither_loses_nor_takes_a_lease(
    installation: Installation, worker: int, reconcile: int
) -> None:
    made = installation.experiment(documents=6, shard=3)
    stage = stage_of(made)
    installation.set("pace", "0.5")
    stages.queue_ready(made)
    for command, shift in ((["reconcile", "--every", "0.2"], reconcile), (["worker", "gpu"], worker)):
        installation._manage(command, {"DJANGO_SETTINGS_MODULE": SHIFTED, "CLOCK_SHIFT": str(shift)})
    stage = wait_for(stage, State.DONE, State.FAILED)
    assert (stage.state, stage.attempt, stage.restarts, stage.crashes) == (State.DONE, 1, 0, 0)
    assert len(questions(stage)) == len({doc_id for _, doc_id, _ in questions(stage)}) > 0


@pytest.mark.parametrize("shift", [HOUR, -HOUR])
def test_work_of_a_dead_process_is_found_whatever_the_clock_says(installation: Installation, shift: int) -> None:
    made = installation.experiment(documents=4, shard=2)
    stage = stage_of(made)
    installation.set("hold")
    stages.queue_ready(made)
    worker = installation.start_worker("gpu")
    wait_for(stage, State.RUNNING)
    installation.kill(worker)
    installation.unset("hold")
    shifted = {"DJANGO_SETTINGS_MODULE": SHIFTED, "CLOCK_SHIFT": str(shift)}
    installation._manage(["reconcile", "--every", "0.2"], shifted)
    installation._manage(["worker", "gpu"], shifted)
    stage = wait_for(stage, State.DONE, State.FAILED)
    assert (stage.state, stage.attempt) == (State.DONE, 2)
