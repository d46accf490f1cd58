"""The name that a step's result will have in the store, known before the work begins."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sptar_engine.configs import StageConfig
from sptar_engine.pipeline import Store, input_digest, stage_key
from sptar_engine.registry import STAGES
from sptar_engine.stage import SCRATCH


def result_folder(config: StageConfig, inputs: Mapping[str, Path], store: Store) -> Path:
    """The folder that sptar_engine.pipeline.run_stage will give this work."""
    whole = STAGES[config.STAGE].reads_results
    hashes = {role: input_digest(role, path, whole=whole) for role, path in sorted(inputs.items())}
    return store.folder(config.STAGE, stage_key(config, hashes, store.models))


def shards_of(folder: Path) -> list[Path]:
    """The shards that unfinished attempts at a result have written, in their order."""
    return sorted(folder.parent.glob(f"{folder.name}.attempt-*/{SCRATCH}/shard-*.jsonl"), key=lambda path: path.name)


def has_attempts(folder: Path) -> bool:
    """Whether an attempt at a result was begun and not finished."""
    return any(folder.parent.glob(f"{folder.name}.attempt-*"))
