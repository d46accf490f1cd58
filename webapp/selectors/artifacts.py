"""Reading what finished stages left on disk; what is missing or broken there is simply not shown."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from sptar_engine.artifacts import read_json, read_jsonl
from sptar_engine.errors import ArtifactError
from webapp.models import Project, StageRun, State
from webapp.places import store_folder


def stage_folder(project: Project, stage: StageRun) -> Path | None:
    """The folder of a finished stage, or None while there is none."""
    if stage.state != State.DONE or not stage.folder:
        return None
    folder = store_folder(project) / "stages" / stage.folder
    return folder if folder.is_dir() else None


def rows_of(project: Project, stage: StageRun, name: str, *, limit: int = 10_000) -> list[dict[str, Any]]:
    """The first rows of a JSON lines file of a finished stage."""
    folder = stage_folder(project, stage)
    return list(_rows(folder / name, limit)) if folder else []


def value_of(project: Project, stage: StageRun, name: str) -> Any:
    """A JSON file of a finished stage, or None."""
    folder = stage_folder(project, stage)
    try:
        return read_json(folder / name) if folder else None
    except ArtifactError:
        return None


def _rows(path: Path, limit: int) -> Iterator[dict[str, Any]]:
    try:
        yield from islice(read_jsonl(path), limit)
    except ArtifactError:
        return
