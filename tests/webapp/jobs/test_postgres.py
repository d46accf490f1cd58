"""On a PostgreSQL server: whole steps, and a server that goes away in the middle (T14)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from django.db import connection, connections
from psycopg import sql

from tests.webapp.jobs.installation import (
    Installation,
    fresh,
    horse_of,
    is_alive,
    questions,
    stage_of,
    wait,
    wait_for,
    wait_for_done,
)
from webapp.jobs import leases
from webapp.models import Errand, State
from webapp.services import errands, stages

pytestmark = [pytest.mark.processes, pytest.mark.postgres]


@contextmanager
def _administrator(url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(urlunsplit(urlsplit(url)._replace(path="/postgres")), autocommit=True) as server:
        yield server


def cut_connections(url: str) -> None:
    """End every connection to the database, as a restart or a firewall does."""
    name = urlsplit(url).path.lstrip("/")
    with _administrator(url) as server:
        server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
    connection.close()


@contextmanager
def unreachable(url: str) -> Iterator[None]:
    """While the block runs the database lets nobody in, as while a server restarts."""
    name = sql.Identifier(urlsplit(url).path.lstrip("/"))
    with _administrator(url) as server:
        server.execute(sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS false").format(name))
        cut_connections(url)
        try:
            yield
        finally:
            server.execute(sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS true").format(name))


def test_connections_cut_in_mid_run_cost_nothing(server_installation: Installation) -> None:
    """T14: an idle connection is cut; the same attempt goes on over a new one."""
    installation = server_installation
    made = installation.experiment(documents=16, shard=4)
    stage = stage_of(made)
    installation.set("pace", "0.3")
    stages.queue_ready(made)
    installation.start_reconcile()
    installation.start_worker("gpu")
    wait_for_done(stage, 3)
    cut_connections(installation.environment["DATABASE_URL"])
    stage = wait_for(stage, State.DONE, State.FAILED)
    assert (stage.state, len(questions(stage))) == (State.DONE, 16)


def test_server_away_in_mid_run_is_waited_for(server_installation: Installation) -> None:
    """T14: nobody gets in for longer than the lease lasts; afterwards the step is finished, once."""
    installation = server_installation
    made = installation.experiment(documents=16, shard=4)
    stage = stage_of(made)
    installation.set("pace", "0.4")
    stages.queue_ready(made)
    installation.start_reconcile()
    worker = installation.start_worker("gpu")
    wait_for_done(stage, 3)
    with unreachable(installation.environment["DATABASE_URL"]):
        wait(lambda: "database cannot be reached" in installation.said(), "somebody noticed")
        # Longer than a lease, so that nothing but the fence keeps two attempts apart.
        Event().wait(7)
    stage = wait_for(stage, State.DONE, State.FAILED)
    assert (stage.state, worker.poll()) == (State.DONE, None), stage.error
    assert sorted(row[1] for row in questions(stage)) == sorted(f"doc-{at}" for at in range(16))


def test_worker_killed_on_postgres_loses_and_doubles_nothing(server_installation: Installation) -> None:
    """T01 with the server as the clock."""
    installation = server_installation
    made = installation.experiment(documents=12, shard=4)
    stage = stage_of(made)
    installation.set("pace", "0.4")
    stages.queue_ready(made)
    worker = installation.start_worker("gpu")
    wait_for_done(stage, 5)
    fork, child = horse_of(worker), installation.child_of(stage)
    installation.kill(worker)
    wait(lambda: not is_alive(fork) and not is_alive(child), "fork and child died with the worker", 5)
    installation.set("pace", "0")
    installation.start_reconcile()
    installation.start_worker("gpu", "cpu")
    wait(lambda: State(fresh(made).state).is_over, "the experiment is over")
    stage = fresh(stage)
    assert (fresh(made).state, stage.attempt) == (State.DONE, 2)
    assert len(questions(stage)) == 12


def test_of_many_that_want_a_row_one_gets_it(server_installation: Installation) -> None:
    """Real concurrency: eight connections claim and ask at once."""
    errand = errands.ask(kind="upload.check", project=None, subject=1, actor=None)
    won: list[object] = []
    asked: list[int] = []

    ours = connections["default"]

    def contend() -> None:
        connections["default"] = ours.copy()  # a thread has none
        try:
            won.append(leases.claim(Errand, errand.pk, 1))
            asked.append(errands.ask(kind="upload.check", project=None, subject=2, actor=None).pk)
        finally:
            connection.close()

    threads = [Thread(target=contend) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(row is not None for row in won) == 1
    assert len(asked) == 8 and len(set(asked)) == 1
