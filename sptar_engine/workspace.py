"""An experiment's folder on disk: one owner at a time, what the machine decided, what ran, and the comparison."""

from __future__ import annotations

import fcntl
import os
import resource
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sptar_engine.artifacts import read_json, write_json
from sptar_engine.errors import InputError, StageError
from sptar_engine.pipeline import RESULT, StageResult
from sptar_engine.steps import Step

EXPERIMENT = "experiment.json"
COMPARISON = "comparison.json"
_MACHINE = "machine.json"


@contextmanager
def occupy(out: Path) -> Iterator[None]:
    """Own a folder while the block runs. Raises InputError when another run owns it.

    A folder that did not exist before goes again if the block fails before a stage was finished.
    """
    fresh = not out.exists()
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; --out takes a folder.")
    out.mkdir(parents=True, exist_ok=True)
    with (out / ".running").open("w") as handle:
        _lock(handle.fileno(), out)
        try:
            yield
        except BaseException:
            if fresh and not any(out.glob(f"stages/*/{RESULT}")) and not any(out.glob("stages/*/scratch")):
                shutil.rmtree(out, ignore_errors=True)
            raise


def _lock(handle: int, out: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(f"Another run is at work in {out}; wait for it or choose another --out.") from None


def machine(out: Path, language_model: Path | None, name: str) -> dict[str, Any]:
    """What the machine decided for this folder: `device`, `dtype`, `threads`. Decided once, then kept.

    The number format is measured for each language model that takes part, once. Raises StageError when a GPU was
    decided on and this machine has none: half of an experiment on another device is no experiment.
    """
    stored: dict[str, Any] = read_json(out / _MACHINE) if (out / _MACHINE).exists() else {"dtypes": {}}
    if stored.get("device") == "cuda":
        _check_gpu(out)
    if "device" not in stored or (language_model is not None and name not in stored["dtypes"]):
        from sptar_engine import runtime  # loads torch

        decided = runtime.decide(language_model)
        stored = {"device": decided.device, "threads": decided.threads, **stored}
        if language_model is not None:
            stored["dtypes"][name] = decided.dtype
        write_json(out / _MACHINE, stored)
    dtype = stored["dtypes"].get(name, "float32")
    return {"device": stored["device"], "dtype": dtype, "threads": stored["threads"]}


def _check_gpu(out: Path) -> None:
    from sptar_engine import runtime  # loads torch

    if runtime.pick_device() != "cuda":
        raise StageError(
            f"The experiment in {out} was begun on a GPU and this machine has none that works; go on where it was "
            "begun, or choose another --out."
        )


def record(
    out: Path, about: Mapping[str, Any], steps: Sequence[Step], results: Mapping[str, StageResult]
) -> dict[str, Any]:
    """Write experiment.json: what was asked, and for each finished step its folder, numbers and seconds."""
    rows = [
        {
            "step": step.step_id, "stage": step.stage, "arms": list(step.arms), "config": step.config.as_dict(),
            "folder": os.path.relpath(results[step.step_id].folder, out), "seconds": results[step.step_id].seconds,
            "metrics": dict(results[step.step_id].metrics),
        }
        for step in steps
        if step.step_id in results
    ]  # fmt: skip
    value = {**about, "complete": len(rows) == len(steps), "peak_mib": peak_mib(), "steps": rows}
    previous = read_json(out / EXPERIMENT) if (out / EXPERIMENT).exists() else {}
    value["peak_mib"] = max(value["peak_mib"], previous.get("peak_mib", 0))
    write_json(out / EXPERIMENT, value)
    return value


def load(out: Path) -> dict[str, Any]:
    """Read experiment.json. Raises InputError when the folder holds no experiment."""
    if not (out / EXPERIMENT).is_file():
        raise InputError(f"{out} holds no experiment; give the --out folder of `sptar experiment`.")
    value: dict[str, Any] = read_json(out / EXPERIMENT)
    return value


def compare(out: Path) -> dict[str, Any]:
    """Compare the arms that are evaluated so far; per query over all training seeds first (DESIGN section 4).

    Returns `{"dataset", "arms"}` as `sptar compare --json` prints it; an arm that was trained has `training`, a list
    of what each training said of itself against the untrained base. Raises InputError when no arm is evaluated.
    """
    from sptar_engine.evaluation.compare import average_seeds, compare_arms  # numpy and scipy

    experiment = load(out)
    folders: dict[str, list[Path]] = {}
    for row in experiment["steps"]:
        if row["stage"] == "evaluate":
            folders.setdefault(row["arms"][0], []).append(out / row["folder"])
    if not folders:
        raise InputError(f"No arm of {out} is evaluated yet; start the experiment again to go on.")
    runs = {arm: [read_json(path / "metrics.json")["per_query"] for path in paths] for arm, paths in folders.items()}
    arms = compare_arms({arm: average_seeds(per_query) for arm, per_query in runs.items()})
    for row in experiment["steps"]:
        if row["stage"] == "train" and row["arms"][0] in arms:
            arms[row["arms"][0]].setdefault("training", []).append(_training(row))
    return {"dataset": experiment["dataset"], "arms": arms}


def _training(row: Mapping[str, Any]) -> dict[str, Any]:
    metrics = row["metrics"]
    return {
        "step": row["step"],
        "kept_untrained": metrics["kept_untrained"],
        "trained_below_untrained": metrics["dev_nDCG@10_trained"] < metrics["dev_nDCG@10_untrained"],
        "sentence": metrics["sentence"],
    }


def peak_mib() -> int:
    """Largest resident memory so far of this process or of one of its children, in MiB."""
    scale = 1024 if sys.platform != "darwin" else 1024 * 1024  # kilobytes on Linux, bytes on macOS
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return max(own, children) // scale
