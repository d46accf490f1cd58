"""Runs a stage at most once: finds its result in the store, or makes it, checks it and gives it its name.

A stage's folder is named by the hash of (stage, version, settings, hashes of the inputs). `run_stage` is the only
writer of `result.json`, which is written last: a folder that has one is finished (DESIGN section 4).
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sptar_engine import catalog
from sptar_engine.artifacts import checksums, content_hash, read_json, sha256_file, sha256_json, write_json
from sptar_engine.configs import StageConfig
from sptar_engine.disk import is_full_disk
from sptar_engine.errors import ArtifactError, ConfigError, InputError, StageError, StaleAttempt
from sptar_engine.memory import PeakMemory
from sptar_engine.registry import STAGES, Run
from sptar_engine.stage import SCRATCH, Progress, StageContext, StageOutput
from sptar_engine.work_time import WorkTime

_log = logging.getLogger(__name__)

RESULT = "result.json"
_NO_ARTIFACTS = frozenset({RESULT, SCRATCH})
GIVEN = ("dataset", "decisions")
"""Roles of what a user gives; all others are finished stages."""

_SHOWN = ("digest", "config", "metrics", "versions")
_KEY_LENGTH = 16  # hex digits of the folder name: 64 bits, ample for one project's store
_DATASET_FILES = ("corpus.jsonl", "queries.jsonl", "qrels/*.tsv", "pairs.*")
_PACKAGES = ("sptar", "torch", "transformers", "peft", "sentence-transformers", "pyserini", "ir-measures")


def _always() -> bool:
    return True


def _silent(progress: Progress) -> None:
    del progress


@dataclass(frozen=True, slots=True)
class StageResult:
    """A finished stage: its folder and what its result.json says. `peak_mib` is 0 where it was not measured.

    `seconds` are those of all attempts at it that left something behind.
    """

    stage: str
    folder: Path
    metrics: Mapping[str, Any]
    seconds: float
    digest: str
    reused: bool
    peak_mib: int = 0


@dataclass(frozen=True, kw_only=True)
class Store:
    """Where the stages of one project live. `stages/` holds results, `cache/` what may be rebuilt."""

    root: Path
    models: Path

    def folder(self, stage: str, key: str) -> Path:
        """The folder of a finished stage."""
        return self.root / "stages" / f"{stage}-{key}"

    @property
    def cache(self) -> Path:
        """Derived data by content, such as a Lucene index."""
        return self.root / "cache"


def run_stage(
    config: StageConfig,
    inputs: Mapping[str, Path],
    store: Store,
    *,
    device: str = "cpu",
    report: Callable[[Progress], None] = _silent,
    should_stop: Callable[[], bool] = lambda: False,
    fence: Callable[[], bool] = _always,
) -> StageResult:
    """Return the result of a stage, from the store when it is there and whole, else by running it.

    `inputs` maps roles to finished stage folders, and `dataset` or `decisions` to what the user gave. `fence` is
    asked, under the store's lock, whether this attempt still owns the stage before it gets its name; if not,
    StaleAttempt is raised and the attempt's folder goes. Raises StageError for a full disk; what is finished stays.
    """
    spec = STAGES[config.STAGE]
    missing = [role for role in spec.needs if role not in inputs]
    unknown = sorted(set(inputs) - set(spec.needs) - set(spec.takes))
    if missing or unknown:
        problem = f"needs the input {missing[0]}" if missing else f"does not take the input {unknown[0]}"
        raise InputError(f"The stage {spec.name} {problem}; it needs {', '.join(spec.needs)}.")
    hashes = {role: input_digest(role, path, whole=spec.reads_results) for role, path in sorted(inputs.items())}
    key = stage_key(config, hashes, store.models)
    folder = store.folder(spec.name, key)
    if (found := finished(folder)) is not None:
        return found
    with _disk_errors(folder):
        attempt = _claim(store, folder)
        clock, memory = WorkTime(attempt / SCRATCH), PeakMemory()
        context = StageContext(
            stage=spec.name, out_dir=attempt, inputs=dict(inputs), cache=store.cache, models=store.models,
            device=device, report=clock.timed(report), should_stop=should_stop,
        )  # fmt: skip
        with clock.noted_at_the_end():
            output = _work(spec.load(), config, context)
            artifacts = checksums(attempt, skip=_NO_ARTIFACTS)
            write_json(
                attempt / RESULT,
                {
                    "stage": spec.name, "version": spec.version, "key": key, "config": config.as_dict(),
                    "seed": config.as_dict().get("seed"), "inputs": hashes, "metrics": dict(output.metrics),
                    "artifacts": artifacts, "digest": sha256_json(artifacts),
                    "seconds": round(clock.seconds, 3), "peak_mib": memory.mib(), "device": device,
                    "versions": _versions(),
                },
            )  # fmt: skip
            _publish(store, attempt, folder, fence)
        # Only now: a kill before this line loses no shard and no checkpoint.
        shutil.rmtree(folder / SCRATCH, ignore_errors=True)
    made = _read(folder, reused=False)
    assert made is not None
    return made


def stage_key(config: StageConfig, input_hashes: Mapping[str, str], models: Path) -> str:
    """The name of a stage's work: same key, same result. Models count with their exact revision."""
    spec = STAGES[config.STAGE]
    entries = {field: catalog.describe(name, kind, models) for field, name, kind in named_models(config)}
    # A model may be named by a path; what counts is which model it is.
    named = config.as_dict() | {field: [entry.name, entry.revision] for field, entry in entries.items()}
    settings = {field: value for field, value in named.items() if field not in config.idle}
    parts = [spec.name, spec.version, settings, dict(input_hashes)]
    return sha256_json(parts)[:_KEY_LENGTH]


def finished(folder: Path) -> StageResult | None:
    """The result in a folder of the store, or None when there is none or it is damaged.

    A damaged folder is removed, so that the stage is done again.
    """
    if not (folder / RESULT).exists():
        return None
    result = read_result(folder)
    if result is None:
        _log.warning("A file of %s is not what its checksum says; the stage is done again.", folder.name)
        shutil.rmtree(folder)
        return None
    shutil.rmtree(folder / SCRATCH, ignore_errors=True)  # of a run that was killed just before it did so
    return result


def read_result(folder: Path) -> StageResult | None:
    """The result in a folder, or None when a file of it is not what its checksum says."""
    result = _read(folder, reused=True)
    if result is None or checksums(folder, skip=_NO_ARTIFACTS) != read_json(folder / RESULT).get("artifacts"):
        return None
    return result


def _read(folder: Path, *, reused: bool) -> StageResult | None:
    if not (folder / RESULT).is_file():
        return None
    try:
        row = read_json(folder / RESULT)
        facts = row["stage"], folder, row["metrics"], row["seconds"], row["digest"]
        return StageResult(*facts, reused, row.get("peak_mib", 0))
    except (ArtifactError, KeyError, TypeError):
        return None


def input_digest(role: str, path: Path, *, whole: bool = False) -> str:
    """What an input counts as in a key: a stage's artefacts, or the bytes of what the user gave.

    Redoing a stage with equal artefacts thus changes nothing after it. With `whole` its settings, numbers and
    versions count too, for a stage that shows them. Of a dataset only its own files count.
    """
    if role not in GIVEN and (path / RESULT).is_file():
        row = read_json(path / RESULT)
        return sha256_json([row[name] for name in _SHOWN]) if whole else str(row["digest"])
    if not path.exists():
        raise InputError(f"{path} does not exist; give the folder of a finished stage, a dataset or a file.")
    if role == "dataset" and path.is_dir():
        files = sorted(file for pattern in _DATASET_FILES for file in path.glob(pattern) if file.is_file())
        return sha256_json({file.relative_to(path).as_posix(): sha256_file(file) for file in files})
    return content_hash(path)


def named_models(config: StageConfig) -> Iterator[tuple[str, str, str]]:
    """The settings that name a model and are looked at: (field, the model's name, its kind)."""
    values = config.as_dict()
    for field, spec in type(config).__dataclass_fields__.items():
        if (kind := spec.metadata.get("model")) and field not in config.idle:
            yield field, str(values[field]), kind


def _work(run: Run, config: StageConfig, context: StageContext) -> StageOutput:
    """Run a stage. What was wrong with the input leaves nothing behind; too little memory gets a sentence."""
    try:
        return run(config, context)
    except (InputError, ConfigError):
        shutil.rmtree(context.out_dir, ignore_errors=True)
        raise
    except Exception as error:
        if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's, without torch
            raise StageError(
                f"Not enough memory for the stage {context.stage}; a smaller batch or a smaller model needs less."
            ) from error
        raise


def _claim(store: Store, folder: Path) -> Path:
    """Make this attempt's folder, taking over the scratch of an earlier one that stopped.

    The earlier folder is renamed, not copied: should its process still live, its next write fails there.
    """
    with _locked(store):
        attempts = sorted(folder.parent.glob(f"{folder.name}.attempt-*"), key=_attempt_number)
        number = _attempt_number(attempts[-1]) + 1 if attempts else 1
        attempt = folder.with_name(f"{folder.name}.attempt-{number}")
        if attempts:
            os.rename(attempts[-1], attempt)
            _keep_scratch_only(attempt)
        else:
            attempt.mkdir(parents=True)
        for stale in attempts[:-1]:
            shutil.rmtree(stale, ignore_errors=True)
    return attempt


def _keep_scratch_only(attempt: Path) -> None:
    for path in attempt.iterdir():
        if path.is_dir() and path.name != SCRATCH:
            shutil.rmtree(path)
        elif path.is_file():
            path.unlink()


def _attempt_number(folder: Path) -> int:
    return int(folder.name.rpartition("-")[2])


def _publish(store: Store, attempt: Path, folder: Path, fence: Callable[[], bool]) -> None:
    with _locked(store):
        if not attempt.exists() or not fence() or _read(folder, reused=True) is not None:
            shutil.rmtree(attempt, ignore_errors=True)
            raise StaleAttempt(f"Another run finished {folder.name} meanwhile; this one left nothing behind.")
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(attempt, folder)


@contextmanager
def _locked(store: Store) -> Iterator[None]:
    store.root.mkdir(parents=True, exist_ok=True)
    (store.root / "stages").mkdir(exist_ok=True)
    with (store.root / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if is_full_disk(error):
            raise StageError(
                f"The disk is full: {folder.parent} could not take more. What was finished stays; "
                "free some space and start the same command again."
            ) from error
        raise


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
