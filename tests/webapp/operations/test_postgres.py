"""T14: PostgreSQL is restarted in mid-run, and connections that lie idle are cut."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tempfile
import urllib.request
from pathlib import Path
from urllib.error import URLError

import psycopg
import pytest
from django.db import InterfaceError, OperationalError, connection

from tests.webapp.jobs.installation import Installation, questions, stage_of, wait, wait_for_done
from tests.webapp.operations.machines import Machine
from tests.webapp.operations.started import Up, free_port
from webapp.models import StageRun, State
from webapp.services import stages

pytestmark = [pytest.mark.processes, pytest.mark.postgres]


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_restart_in_mid_run_loses_and_doubles_nothing(postgres_installation: Installation, mode: str) -> None:
    made = postgres_installation.experiment(documents=12, shard=3)
    stage = stage_of(made)
    postgres_installation.set("pace", "0.4")
    stages.queue_ready(made)
    postgres_installation.start_reconcile()
    postgres_installation.start_worker("gpu")
    wait_for_done(stage, 4)  # one shard is on the disk
    connection.close()
    restart(mode)
    postgres_installation.set("pace", "0")
    state = wait(lambda: ended(stage), "the stage is over")
    assert state == State.DONE
    assert sorted(doc_id for _, doc_id, _ in questions(stage_of(made))) == sorted(f"doc-{at}" for at in range(12))


def test_pages_answer_after_their_connections_were_cut(postgres_database: str) -> None:
    with tempfile.TemporaryDirectory(prefix="up-") as folder:
        machine = Machine(Path(folder) / "data", {"PORT": str(free_port()), "DATABASE_URL": postgres_database})
        up = Up(machine)
        try:
            up.wait_until_it_runs()
            found = re.search(r"http://\S+/login/link/\S+", up.said)
            assert found
            for _ in range(20):  # both processes and their threads have connections by then
                assert status_of(found[0]) == 200
            with psycopg.connect(postgres_database, autocommit=True) as other:
                other.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            for _ in range(20):
                assert status_of(found[0]) == 200
        finally:
            assert up.stop() == 0, up.said


def restart(mode: str) -> None:
    """Restart the server; `immediate` is as a crash is."""
    control = os.environ.get("TEST_POSTGRES_CONTROL")
    if not control:
        pytest.skip("TEST_POSTGRES_CONTROL does not say how to restart the server")
    subprocess.run([*shlex.split(control), "--mode", mode, "--wait", "restart"], check=True, timeout=60, cwd="/")


def ended(stage: StageRun) -> str:
    try:
        state = StageRun.objects.values_list("state", flat=True).get(pk=stage.pk)
    except (OperationalError, InterfaceError):
        connection.close()
        return ""
    return state if State(state).is_over else ""


def status_of(address: str) -> int:
    try:
        with urllib.request.urlopen(address, timeout=20) as page:  # noqa: S310 our own address
            return int(page.status)
    except URLError as error:
        return getattr(error, "code", 0)
