"""A backup into an empty database and data folder. Nothing is touched before all of the file has been checked."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path, PurePosixPath

from django.conf import settings
from django.core.management import call_command
from django.db import transaction
from django.db.migrations.exceptions import IrreversibleError

from webapp.operations import tables
from webapp.operations.archive import BadBackup, Reader
from webapp.operations.backup import FILES, ROWS, BackupReport


class NotEmpty(Exception):
    """A sentence: something is there already that a restore would mix with."""


def restore(path: Path) -> BackupReport:
    """Bring everything of the backup back, then migrate to what this code needs. Raises BadBackup and NotEmpty.

    The processes must not be running. When it fails half-way, what it made is removed again, or overwritten by the
    next try: rows arrive in one transaction.
    """
    data_dir = Path(settings.DATA_DIR)
    check_empty(data_dir)
    with Reader(path) as backup:
        migrations = [(app, name) for app, name in backup.manifest["migrations"]]
        missing = tables.unknown(migrations)
        if missing:
            raise BadBackup(
                f"{path} was made by a newer version of SPTAR, with the migration {'.'.join(missing[0])}. "
                "Update SPTAR first."
            )
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(prefix=".restore-", dir=data_dir) as scratch:
            files = _extract(backup, Path(scratch))
            rows = _load(backup, migrations)
            _move(Path(scratch), data_dir)
    call_command("migrate", interactive=False, verbosity=0)
    call_command("createcachetable", verbosity=0)
    return BackupReport(rows, files, path.stat().st_size)


def check_empty(data_dir: Path) -> None:
    """Raise NotEmpty unless there is no person and no project in the database and no file of a project."""
    if any((data_dir / "projects").glob("*")):
        raise NotEmpty(f"There are projects in {data_dir} already. Set SPTAR_DATA to an empty folder.")
    for model in tables.models_at(tables.applied()):
        if model._meta.label_lower in ("webapp.user", "webapp.project") and model._base_manager.exists():
            raise NotEmpty(
                "There are people or projects in the database already, and a restore would mix the two. Set "
                "DATABASE_URL or SPTAR_DATA to an empty one."
            )


def _extract(backup: Reader, folder: Path) -> int:
    count = 0
    links = {}
    for name, said in backup.members.items():
        parts = PurePosixPath(name).parts
        if parts[0] != FILES:
            continue
        count += 1
        if "same_as" in said:
            links[folder.joinpath(*parts[1:])] = folder.joinpath(*PurePosixPath(said["same_as"]).parts[1:])
        else:
            backup.extract(name, folder.joinpath(*parts[1:]))
    for path, same in links.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(same, path)
    return count


def _load(backup: Reader, migrations: tables.Migrations) -> int:
    try:
        tables.migrate_to(migrations)
    except IrreversibleError as error:
        raise NotEmpty(
            f"The tables are newer than the backup and cannot be taken back; use a new database ({error})."
        ) from error
    wanted = {model._meta.label_lower: model for model in tables.models_at(migrations)}
    count = 0
    with transaction.atomic():
        for model in wanted.values():
            model._base_manager.all().delete()  # content types and permissions, which migrating may have filled
        for table in backup.manifest["tables"]:
            name = table["model"]
            count += tables.load(wanted[name], table["columns"], backup.lines(f"{ROWS}/{name}.jsonl"))
        tables.reset_sequences(list(wanted.values()))
    return count


def _move(scratch: Path, data_dir: Path) -> None:
    """Put the trees in their places, each at once. Empty folders of an earlier start are in the way."""
    for tree in scratch.iterdir():
        target = data_dir / tree.name
        if target.exists():
            shutil.rmtree(target)
        tree.rename(target)
