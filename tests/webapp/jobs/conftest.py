"""An installation for each test: its own folder, database file and Redis, with stages that take no model."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import django_rq.settings
import pytest
from django.db import connections
from django.db.utils import load_backend
from environ import Env

import sptar_engine
from sptar_engine import catalog, registry
from tests.webapp.jobs import fake_engine, postgres
from tests.webapp.jobs.installation import HEARTBEAT, LEASE, ROOT, Installation


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database without rows, made once and copied for each test."""
    folder = tmp_path_factory.mktemp("database")
    path = folder / "sptar.sqlite3"
    migrate(f"sqlite:///{path}", folder)
    return path


@pytest.fixture
def fake_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages that take no model, in this process too."""
    monkeypatch.setattr(registry.StageSpec, "load", registry.StageSpec.load)
    monkeypatch.setattr(catalog, "language_model_folder", catalog.language_model_folder)
    monkeypatch.setitem(sys.modules, "sptar_engine.runtime", None)
    monkeypatch.setattr(sptar_engine, "runtime", None, raising=False)  # where an earlier test has imported it
    fake_engine.install()


@pytest.fixture
def database_file(data_dir: Path, empty_database: Path, django_db_blocker: object) -> Iterator[Path]:
    """A database in a file, which this process and the ones it starts share."""
    path = data_dir / "sptar.sqlite3"
    shutil.copy(empty_database, path)
    with connected(f"sqlite:///{path}", django_db_blocker):
        yield path


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose name leaves room for a socket: the kernel takes 107 characters."""
    folder = Path(tempfile.mkdtemp(prefix="sptar-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def installation(
    data_dir: Path,
    database_file: Path,
    short_folder: Path,
    fake_stages: None,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Installation]:
    """Database and Redis; a test starts workers as it needs them."""  # fmt: skip
    made = Installation(data_dir, short_folder / "redis.sock", f"sqlite:///{database_file}")
    with started(made, settings, monkeypatch):
        yield made


@pytest.fixture
def server_installation(
    data_dir: Path,
    postgres_url: str,
    django_db_blocker: Any,
    short_folder: Path,
    fake_stages: None,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Installation]:
    """The same on PostgreSQL."""  # fmt: skip
    made = Installation(data_dir, short_folder / "redis.sock", postgres_url)
    with connected(postgres_url, django_db_blocker), started(made, settings, monkeypatch):
        yield made


@contextmanager
def started(made: Installation, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Its Redis runs, and this process uses it as a web process would."""
    settings.LEASE_SECONDS, settings.HEARTBEAT_SECONDS = LEASE, HEARTBEAT
    for queue in django_rq.settings.QUEUES.values():
        monkeypatch.setitem(queue, "URL", made.environment["REDIS_URL"])
    made.start_redis()
    try:
        yield
    finally:
        made.close()


@pytest.fixture
def no_redis(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Redis is not there at all: the rows carry the work alone."""
    for queue in django_rq.settings.QUEUES.values():
        monkeypatch.setitem(queue, "URL", f"unix://{tmp_path}/none?db=0")


@pytest.fixture
def postgres_url(empty_postgres: str) -> Iterator[str]:
    """A migrated PostgreSQL database of its own, as a URL."""
    with postgres.database(empty_postgres) as url:
        yield url


@pytest.fixture(scope="session")
def empty_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A migrated database without rows, made once and copied for each test."""
    server = os.environ.get("TEST_POSTGRES_URL")
    if not server:
        pytest.skip("TEST_POSTGRES_URL names no PostgreSQL server")
    with postgres.database(server) as url:
        migrate(url, tmp_path_factory.mktemp("postgres"))
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def either_database(request: pytest.FixtureRequest) -> Iterator[None]:
    """The tests' usual database, and the same on PostgreSQL. The test itself is marked django_db."""
    if request.param == "sqlite":
        yield
        return
    url = request.getfixturevalue("postgres_url")
    with connected(url, request.getfixturevalue("django_db_blocker")):
        yield


@contextmanager
def connected(url: str, blocker: Any) -> Iterator[None]:
    """Let this process use another database than the tests' usual one."""
    usual = connections["default"]
    # SQLite's options stay those of the settings; a server's come with its URL.
    options = usual.settings_dict["OPTIONS"] if url.startswith("sqlite") else {}
    told = {**usual.settings_dict, "OPTIONS": options, **Env.db_url_config(url)}
    ours = load_backend(told["ENGINE"]).DatabaseWrapper(told, "default")
    connections["default"] = ours
    try:
        with blocker.unblock():
            yield
    finally:
        ours.close()
        connections["default"] = usual


def migrate(url: str, folder: Path) -> None:
    """Make the tables, in a process of its own."""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", "SPTAR_DATA": str(folder)}
    command = [sys.executable, "manage.py", "migrate", "--verbosity", "0", "--skip-checks"]
    subprocess.run(command, cwd=ROOT, env={**environment, "DATABASE_URL": url}, check=True, timeout=120)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Show with a failure what the processes said."""
    report = yield
    arguments = getattr(item, "funcargs", {})
    made = arguments.get("installation") or arguments.get("server_installation")
    if made is not None and report.when == "call" and report.failed:
        report.sections.append(("processes", made.said()[-8000:]))
    return report
