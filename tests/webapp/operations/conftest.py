"""Machines with their own data folder, and databases of a PostgreSQL server where one is named."""

# ruff: noqa: F811 a fixture is asked for by the name of an argument

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import django_rq.settings
import environ
import psycopg
import pytest
from django.db import connections
from django.db.utils import load_backend

from tests.webapp.jobs.conftest import (  # noqa: F401 fixtures that these tests use too
    database_file,
    empty_database,
    fake_stages,
    installation,
    short_folder,
)
from tests.webapp.jobs.installation import HEARTBEAT, LEASE, Installation
from tests.webapp.operations.machines import Machine


@pytest.fixture
def machine(short_folder: Path) -> Callable[..., Machine]:
    """Return `machine(name, **variables)`: a machine whose data folder does not exist yet. It has room for sockets."""
    return lambda name, **variables: Machine(short_folder / name, variables)


@pytest.fixture
def postgres_database() -> Iterator[str]:
    """The address of an empty PostgreSQL database that goes after the test."""
    server = os.environ.get("TEST_POSTGRES_URL")
    if not server:
        if os.environ.get("SPTAR_REQUIRE_POSTGRES"):
            pytest.fail("SPTAR_REQUIRE_POSTGRES is set and TEST_POSTGRES_URL names no server")
        pytest.skip("no PostgreSQL server: TEST_POSTGRES_URL is not set")
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    yield server.rsplit("/", 1)[0] + f"/{name}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def postgres_installation(
    data_dir: Path,
    short_folder: Path,
    fake_stages: None,
    postgres_database: str,
    settings: object,
    monkeypatch: pytest.MonkeyPatch,
    django_db_blocker: object,
) -> Iterator[Installation]:
    """An installation on a PostgreSQL database, which this process reads too."""  # fmt: skip
    made = Installation(data_dir, short_folder / "redis.sock", postgres_database)
    settings.LEASE_SECONDS, settings.HEARTBEAT_SECONDS = LEASE, HEARTBEAT  # type: ignore[attr-defined]
    for queue in django_rq.settings.QUEUES.values():
        monkeypatch.setitem(queue, "URL", made.environment["REDIS_URL"])
    done = made.run_command("migrate", "--verbosity", "0", "--skip-checks")
    assert done.returncode == 0, done.stderr.decode()
    usual = connections["default"]
    about = connections.configure_settings({"default": environ.Env.db_url_config(postgres_database)})["default"]
    connections["default"] = load_backend(about["ENGINE"]).DatabaseWrapper(about, "default")
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        made.start_redis()
        yield made
        made.close()
        connections["default"].close()
    connections["default"] = usual
