"""Everything that cannot be made again, in one file: all rows, uploads, documents, snapshots and finished results.

The rows are those of one moment, read first. Files of results are never changed and go only with their project, so
what the rows name is among the files, which are read afterwards. Indexes, caches, half-done work, downloads and models
are left out: the first three are made again by themselves, downloads on request, models are installed or added again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings
from django.db import connection

from sptar_engine.pipeline import RESULT
from webapp.operations import tables
from webapp.operations.archive import Writer, writing

ROWS, FILES = "rows", "files"
_TREES = ("projects",)


class CannotBackUp(Exception):
    """A sentence for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What a backup holds."""

    rows: int
    files: int
    bytes: int


def back_up(path: Path, *, with_results: bool = True) -> BackupReport:
    """Write the backup `path`, which must not exist. The application may go on meanwhile. Raises CannotBackUp."""
    if path.exists():
        raise CannotBackUp(f"{path} exists already; a backup never replaces a file. Choose another name.")
    if not path.parent.is_dir():
        raise CannotBackUp(f"There is no folder {path.parent}.")
    migrations = tables.applied()
    if not migrations:
        raise CannotBackUp("The database has no tables yet, so there is nothing to back up.")
    facts = {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "database": connection.vendor,
        "migrations": migrations,
        "with_results": with_results,
        "tables": [
            {"model": model._meta.label_lower, "columns": tables.columns(model)}
            for model in tables.models_at(migrations)
        ],
    }
    try:
        with writing(path, facts) as writer:
            rows = _add_rows(writer, migrations)
            _add_files(writer, Path(settings.DATA_DIR), with_results=with_results)
    except FileExistsError:
        raise CannotBackUp(f"{path} appeared while the backup was being made; it was left alone.") from None
    except OSError as error:
        raise CannotBackUp(f"The backup could not be written to {path}: {error.strerror}.") from error
    return BackupReport(rows, len(writer.members) - len(facts["tables"]), path.stat().st_size)


def _add_rows(writer: Writer, migrations: tables.Migrations) -> int:
    count = 0

    def counted(lines: Iterator[str]) -> Iterator[str]:
        nonlocal count
        for line in lines:
            count += 1
            yield line

    with tables.snapshot():
        for model in tables.models_at(migrations):
            writer.add_lines(f"{ROWS}/{model._meta.label_lower}.jsonl", counted(tables.dump(model)))
    return count


def _add_files(writer: Writer, data_dir: Path, *, with_results: bool) -> None:
    seen: dict[tuple[int, int], str] = {}
    for path in files_of(data_dir, with_results=with_results):
        name = f"{FILES}/{path.relative_to(data_dir)}"
        try:
            status = path.stat()
            key = (status.st_dev, status.st_ino)
            if key in seen:
                writer.add_link(name, seen[key])
                continue
            writer.add_file(name, path)
        except FileNotFoundError:
            continue  # its project is just being deleted
        if status.st_nlink > 1:
            seen[key] = name


def files_of(data_dir: Path, *, with_results: bool) -> Iterator[Path]:
    """The files of a backup, in order. Hidden ones are locks and files on their way to another name."""
    for tree in _TREES:
        for folder, folders, names in os.walk(data_dir / tree):
            here = Path(folder)
            folders[:] = sorted(name for name in folders if _is_wanted(here / name, with_results=with_results))
            for name in sorted(names):
                path = here / name
                if not name.startswith(".") and path.is_file() and not path.is_symlink():
                    yield path


def _is_wanted(folder: Path, *, with_results: bool) -> bool:
    if folder.name.startswith("."):
        return False
    if folder.name == "archives" and folder.parent.parent.name == "projects":
        return False  # downloads: the page offers to make them again
    if folder.parent.name == "store" and folder.parent.parent.parent.name == "projects":
        return with_results and folder.name == "stages"
    if folder.parent.name == "stages" and folder.parent.parent.name == "store":
        return (folder / RESULT).exists()
    return True
