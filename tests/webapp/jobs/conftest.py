"""An installation for each test: its own folder, database file and Redis, with stages that take no model."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connections

from sptar_engine import catalog, registry
from tests.webapp.jobs import fake_engine
from tests.webapp.jobs.installation import HEARTBEAT, LEASE, ROOT, Installation


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database without rows, made once and copied for each test."""
    folder = tmp_path_factory.mktemp("database")
    path = folder / "sptar.sqlite3"
    environment = {
        **os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", "SPTAR_DATA": str(folder),
        "DATABASE_URL": f"sqlite:///{path}",
    }  # fmt: skip
    command = [sys.executable, "manage.py", "migrate", "--verbosity", "0", "--skip-checks"]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=120)
    return path


@pytest.fixture
def fake_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages that take no model, in this process too."""
    monkeypatch.setattr(registry.StageSpec, "load", registry.StageSpec.load)
    monkeypatch.setattr(catalog, "language_model_folder", catalog.language_model_folder)
    monkeypatch.setitem(sys.modules, "sptar_engine.runtime", None)
    fake_engine.install()


@pytest.fixture
def database_file(data_dir: Path, empty_database: Path, django_db_blocker: object) -> Iterator[Path]:
    """A database in a file, which this process and the ones it starts share."""
    path = data_dir / "sptar.sqlite3"
    shutil.copy(empty_database, path)
    usual = connections["default"]
    ours = usual.copy()
    ours.settings_dict = {**ours.settings_dict, "NAME": str(path)}
    connections["default"] = ours
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        yield path
        ours.close()
    connections["default"] = usual


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
    settings: object,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Installation]:
    """Database and Redis; a test starts workers as it needs them."""  # fmt: skip
    made = Installation(data_dir, short_folder / "redis.sock", f"sqlite:///{database_file}")
    settings.LEASE_SECONDS, settings.HEARTBEAT_SECONDS = LEASE, HEARTBEAT  # type: ignore[attr-defined]
    import django_rq.settings

    for queue in django_rq.settings.QUEUES.values():
        monkeypatch.setitem(queue, "URL", made.environment["REDIS_URL"])
    made.start_redis()
    yield made
    made.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Show with a failure what the processes said."""
    report = yield
    made = getattr(item, "funcargs", {}).get("installation")
    if made is not None and report.when == "call" and report.failed:
        report.sections.append(("processes", made.said()[-8000:]))
    return report
