"""Runs generate many times, each in a process of its own, and kills some of them with SIGKILL at a given moment.

    python -m tests.engine.stages.killed_runs < jobs.json > outcomes.json

The libraries are loaded once and each run is a fork. With one thread (checked) a fork is a faithful new process, and
it starts in milliseconds instead of seconds. A moment is a report of a batch, a file's bytes reaching the disk, and
the instants before and after a file gets its name.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sptar_engine.configs import GenerateConfig
from sptar_engine.stage import StageContext
from sptar_engine.stages import generate

LOG = "finished-shards.log"  # one line for each shard that got its name, beside the out folder


def main() -> None:
    """Run the jobs on standard input one after another; write for each how it ended and how many moments it had."""
    assert len(list(Path("/proc/self/task").iterdir())) == 1, "a process with threads must not be forked"
    outcomes = [_run_apart(job) for job in json.load(sys.stdin)]
    json.dump(outcomes, sys.stdout)


def _run_apart(job: dict[str, Any]) -> dict[str, int]:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, str(_run(job)).encode())
            os._exit(0)
        finally:  # an exception: its traceback is printed, and no test machinery runs twice
            sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as stream:
        moments = int(stream.read() or 0)
    _, status = os.waitpid(child, 0)
    return {"exit": os.waitstatus_to_exitcode(status), "moments": moments}


def _run(job: dict[str, Any]) -> int:
    """Run the stage as the job says; die at its moment `kill_at` (0 = never). Returns the number of moments."""
    out = Path(job["out"])
    moments = 0

    def pass_moment(*_: Any) -> None:
        nonlocal moments
        moments += 1
        if moments == job["kill_at"]:
            os.kill(os.getpid(), signal.SIGKILL)

    os.fsync = _followed_by(pass_moment, os.fsync)
    os.replace = _followed_by(pass_moment, _logged(out / LOG, os.replace), before=True)
    context = StageContext(
        stage="generate",
        out_dir=out / "attempt",
        inputs={role: Path(path) for role, path in job["inputs"].items()},
        cache=out / "cache",
        models=Path(job["models"]),
        report=pass_moment,
    )
    context.out_dir.mkdir(parents=True, exist_ok=True)
    generate.run(GenerateConfig(**job["config"]), context)
    return moments


def _followed_by(moment: Callable[..., None], call: Callable[..., Any], *, before: bool = False) -> Callable[..., Any]:
    def wrapped(*arguments: Any) -> Any:
        if before:
            moment()
        result = call(*arguments)
        moment()
        return result

    return wrapped


def _logged(log: Path, replace: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(source: Any, target: Any) -> None:
        replace(source, target)
        if Path(target).name.startswith("shard-"):
            with log.open("a") as stream:
                stream.write(f"{Path(target).name}\n")

    return wrapped


if __name__ == "__main__":
    main()
