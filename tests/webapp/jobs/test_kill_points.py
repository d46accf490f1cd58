"""T04: killed before or after any commit and any renaming of a file, the work ends with the same rows and bytes."""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.models.functions import Now

from tests.webapp.jobs.installation import Installation, questions
from webapp.jobs import runner
from webapp.jobs.reconcile import Reconciler
from webapp.models import CurvePoint, Experiment, StageRun, State, WeakQuery
from webapp.services import stages

_KILLED = 99  # exit code of a process that ended at its kill point
_TRIALS = 200
_SEED = 13


def test_killed_at_any_point_ends_with_the_same_rows_and_bytes(
    database_file: Path, data_dir: Path, fake_stages: None, no_redis: None, tmp_path: Path
) -> None:
    """200 seeded points; every tenth run is killed a second time while it recovers."""
    made = _make_experiment(data_dir, database_file)
    template = tmp_path / "template"
    connection.close()
    shutil.copytree(data_dir, template)

    assert _run_all(kill_at=None) == 0
    expected = _snapshot(made, data_dir)
    assert len(expected["questions"]) == 9 and expected["stages"][-1][1] == State.DONE

    events = _count_events(template, data_dir, tmp_path / "events")
    rng = random.Random(_SEED)
    points = [rng.randrange(2 * events) for _ in range(_TRIALS)]
    ended = []
    for number, point in enumerate(points):
        _restore(template, data_dir)
        kills = [point, rng.randrange(2 * events)] if number % 10 == 0 else [point]
        for kill in kills:
            ended.append(_run_all(kill_at=kill))
            assert ended[-1] in (0, _KILLED), f"trial {number}, point {kill}"
            _recover()
        assert _run_all(kill_at=None) == 0, f"trial {number}, point {point}"
        assert _snapshot(made, data_dir) == expected, f"trial {number}, killed at {kills} of {2 * events}"
    assert ended.count(_KILLED) > 0.9 * _TRIALS


def _make_experiment(folder: Path, database: Path) -> Experiment:
    made = Installation(folder, folder / "no-redis.sock", f"sqlite:///{database}").experiment(documents=9, shard=3)
    # The steps behind filter have nothing of their own to lose here.
    made.stages.exclude(stage__in=["prepare", "evaluate", "tune", "select", "generate", "filter"]).delete()
    made.stages.filter(step_id="evaluate.sptar").delete()
    stages.queue_ready(made)
    return made


def _run_all(kill_at: int | None) -> int:
    """Do whatever is queued in a process of its own, which ends at a kill point; its exit code."""
    return _fork(lambda: _work(_Killer(kill_at)))


def _count_events(template: Path, folder: Path, told: Path) -> int:
    """How many commits and renamings an undisturbed run has."""
    _restore(template, folder)
    assert _fork(lambda: told.write_text(str(_work(_Killer(None)).seen))) == 0
    return int(told.read_text())


def _fork(work: Callable[[], Any]) -> int:
    connection.close()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc(file=sys.__stderr__)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class _Killer:
    """Ends the process before (even numbers) or after (odd ones) the n-th commit or renaming."""

    def __init__(self, kill_at: int | None) -> None:
        self.seen = 0
        self._kill_at = kill_at

    def around(self, action: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self._reach(2 * self.seen)
            result = action(*args, **kwargs)
            self._reach(2 * self.seen + 1)
            self.seen += 1
            return result

        return counted

    def _reach(self, point: int) -> None:
        if point == self._kill_at:
            os._exit(_KILLED)


def _work(killer: _Killer) -> _Killer:
    """Do queued steps until none is left."""
    for name in ("replace", "rename", "link"):
        setattr(os, name, killer.around(getattr(os, name)))
    commit, execute = BaseDatabaseWrapper._commit, CursorWrapper.execute
    counted_commit, counted_execute = killer.around(commit), killer.around(execute)

    def run(cursor: CursorWrapper, sql: Any, params: Any = None) -> Any:
        """A statement outside a transaction is a commit of its own."""
        is_own = not cursor.db.in_atomic_block and str(sql).startswith(("UPDATE", "INSERT", "DELETE"))
        return (counted_execute if is_own else execute)(cursor, sql, params)

    BaseDatabaseWrapper._commit = lambda self: counted_commit(self)  # type: ignore[method-assign]
    CursorWrapper.execute = run  # type: ignore[method-assign]
    while row := StageRun.objects.filter(state=State.QUEUED).order_by("position").first():
        runner.run_stage_run(row.pk, row.attempt)
    return killer


def _recover() -> None:
    """What reconcile does once the lease of the killed process is over."""
    StageRun.objects.filter(state=State.RUNNING).update(lease_until=Now())
    Reconciler().run()
    connection.close()


def _restore(template: Path, folder: Path) -> None:
    connection.close()
    shutil.rmtree(folder)
    shutil.copytree(template, folder)


def _snapshot(made: Experiment, folder: Path) -> dict[str, Any]:
    """Everything that must not depend on whether and when somebody was killed."""
    rows = list(made.stages.order_by("position"))
    taken = {
        "stages": [(row.step_id, row.state, row.folder, row.digest, row.metrics) for row in rows],
        "questions": questions(rows[-2]),
        "ranks": list(WeakQuery.objects.order_by("weak_id").values_list("weak_id", "rank", "dropped")),
        "points": list(CurvePoint.objects.values_list("stage_run", "step", "values")),
        "files": {
            path.relative_to(folder).as_posix(): _content(path)
            for path in sorted(folder.glob("projects/*/store/stages/**/*"))
            if path.is_file() and not _is_probe(path.parent)
        },
    }
    connection.close()
    return taken


def _is_probe(folder: Path) -> bool:
    """Killed twice at one shard, a stage does its documents one at a time first (webapp.jobs.poison); that stays."""
    result = folder / "result.json"
    return result.is_file() and json.loads(result.read_text())["config"].get("shard_documents") == 1


def _content(path: Path) -> Any:
    if path.name != "result.json":
        return path.read_bytes()
    result = json.loads(path.read_text())
    return {**result, "seconds": 0, "peak_mib": 0}  # all in a result that two runs need not have in common


@pytest.fixture(autouse=True)
def data_dir(settings: Any) -> Iterator[Path]:
    """A data folder in memory where there is such a thing: a kill, unlike a power cut, needs no disk to test."""
    memory = Path("/dev/shm")  # noqa: S108  the folder is made with a name of its own
    folder = Path(tempfile.mkdtemp(prefix="sptar-", dir=memory if memory.is_dir() else None)) / "data"
    folder.mkdir()
    settings.DATA_DIR = folder
    yield folder
    shutil.rmtree(folder.parent)
