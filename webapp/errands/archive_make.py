"""Makes a file to download.

All of it happens in a folder of the attempt; the file gets its name when it is whole and on the disk, under the fence.
An attempt that is killed leaves nothing under that name; the next one takes over its folder, and with it the finished
parts of long encodings.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from sptar_engine.artifacts import sha256_file
from sptar_engine.errors import StageError
from sptar_engine.packaging.archive import Content, write_archive
from webapp.archive_kinds import KINDS
from webapp.errands.archive_files import Order, files_of
from webapp.errands.archive_turns import Turns
from webapp.errands.archive_vectors import PARTS
from webapp.errands.disk import room_for, told_when_full
from webapp.jobs.attempt import Attempt
from webapp.models import Archive, Errand
from webapp.places import archive_folder
from webapp.selectors.archive_sources import fingerprint, sources_of
from webapp.services import archives

_WORK = ".work-"  # hidden: a backup leaves it out
_MADE = "made"


def run(errand: Errand, attempt: Attempt) -> dict[str, Any]:
    """Make the archive `errand.subject`; nothing when it was removed."""
    rows = Archive.objects.select_related("project", "experiment", "experiment__project", "experiment__corpus")
    archive = rows.filter(pk=errand.subject).first()
    if archive is None:
        return {}
    if archive.experiment is None:
        raise StageError("The experiment that this download is about is gone.")
    folder = take_folder(archive_folder(archive), errand.attempt)
    try:
        with told_when_full():
            _make(archive, folder, attempt)
    except BaseException:
        _keep_parts(folder)
        raise
    shutil.rmtree(folder, ignore_errors=True)
    archive.refresh_from_db()
    return {"bytes": archive.bytes, "removed": archives.tidy(archive)}


def take_folder(place: Path, attempt: int) -> Path:
    """The folder of this attempt. That of an earlier one gets another name, so that who still writes there fails."""
    folder = place / f"{_WORK}{attempt}"
    place.mkdir(parents=True, exist_ok=True)
    for earlier in sorted(place.glob(f"{_WORK}*"), key=lambda one: one.stat().st_mtime, reverse=True):
        if earlier == folder:
            continue
        if folder.exists():
            shutil.rmtree(earlier, ignore_errors=True)
        else:
            earlier.rename(folder)
    folder.mkdir(exist_ok=True)
    _keep_parts(folder)
    return folder


def _make(archive: Archive, folder: Path, attempt: Attempt) -> None:
    assert archive.experiment is not None
    sources = sources_of(archive.experiment)
    before = fingerprint(sources, archive.kind, archive.options)
    attempt.tick(0, 0, "Reading the results")
    files = files_of(Order(sources, archive.kind, archive.options, folder, Turns(attempt).tick))
    made = _put_together(archive, files, folder, attempt)
    digest = sha256_file(made)
    is_same = before == fingerprint(sources, archive.kind, archive.options)
    with attempt.transaction():
        archives.publish(archive=archive, file=made, name=_name(archive), sha256=digest, mark=before if is_same else "")


def _put_together(archive: Archive, files: Mapping[str, Content], folder: Path, attempt: Attempt) -> Path:
    """The file that people get, synced: a zip with one folder, or the only file where the kind has no zip."""
    made = folder / _MADE
    room_for(sum(len(content) if isinstance(content, bytes) else content.stat().st_size for content in files.values()))
    if KINDS[archive.kind].ending_of(archive.options) == "zip":
        write_archive(made, archive.kind, files, lambda done, total, name: attempt.tick(done, total, f"Packing {name}"))
    else:
        (content,) = files.values()
        if isinstance(content, bytes):
            made.write_bytes(content)
        else:
            os.replace(content, made)
    with made.open("rb+") as stream:
        os.fsync(stream.fileno())
    return made


def _name(archive: Archive) -> str:
    """What people call it: their words are only ever sent along, never a path (webapp.downloads)."""
    assert archive.experiment is not None
    kind = KINDS[archive.kind]
    words = "search model" if archive.kind == "retriever" else kind.title.lower()
    return f"{archive.project.name} {archive.experiment.number} {words}.{kind.ending_of(archive.options)}"


def _keep_parts(folder: Path) -> None:
    """Free the disk of all but the finished parts of an encoding."""
    with suppress(FileNotFoundError):
        for path in folder.iterdir():
            if path.is_dir() and path.name != PARTS:
                shutil.rmtree(path, ignore_errors=True)
            elif path.is_file():
                path.unlink(missing_ok=True)
