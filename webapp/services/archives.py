"""Archives to download: asked for, kept while they are good, removed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from sptar_engine.errors import Cancelled
from webapp.archive_kinds import KINDS, Kind, clean_options, family_in
from webapp.models import Archive, Experiment, Project, User
from webapp.places import archive_folder
from webapp.selectors import archives as found
from webapp.selectors.archive_sources import fingerprint, sources_of
from webapp.selectors.words import plural
from webapp.services import errands, events

KIND = found.ERRAND
_MOST = 100  # archives of a project, ready or not


class NotThereError(Exception):
    """There is nothing to make the archive of. The text says what is missing."""


def ask(
    *, experiment: Experiment, kind: str, actor: User | None, boxes: Iterable[str] = (), chosen: str = ""
) -> tuple[Archive, bool]:
    """Have an archive made; returns it, and whether it has to be made: what has not changed since is there already.

    `boxes` and `chosen` are what the kind puts in, and its format or family. Raises ValidationError for a kind, a box,
    a format or a family that does not exist, NotThereError when the experiment has nothing of the kind or too many
    archives are kept.
    """
    options = _options(kind, boxes, chosen)
    sources = sources_of(experiment)
    if missing := sources.missing(kind):
        raise NotThereError(missing)
    options = sources.complete(kind, options)
    if KINDS[kind].by_family and sources.package(family_in(options)) is None:
        raise NotThereError("This experiment has packed no such search model.")
    mark = fingerprint(sources, kind, options)
    with transaction.atomic():
        Project.objects.select_for_update(no_key=True).get(pk=experiment.project_id)
        archive = Archive.objects.filter(project=experiment.project, fingerprint=mark).first()
        if archive is not None and found.file_of(archive):
            return archive, False
        if archive is None:
            archive = _add(experiment, kind, options, mark, actor)
        if not found.shown(archive).is_open:
            _make(archive, actor)
    return archive, True


def again(*, archive: Archive, actor: User | None) -> bool:
    """Have an archive made that failed, was stopped or lost its file; False when it is there or on its way."""
    with transaction.atomic():
        Project.objects.select_for_update(no_key=True).get(pk=archive.project_id)
        archive.refresh_from_db()
        if found.file_of(archive) or found.shown(archive).is_open:
            return False
        _make(archive, actor)
    return True


def stop(*, archive: Archive, actor: User | None) -> None:
    """Call off the making of an archive."""
    errand = found.shown(archive).errand
    if errand is not None:
        errands.cancel(errand=errand, actor=actor)


def remove(*, archive: Archive, actor: User | None) -> None:
    """Remove an archive and its file; what it was made of stays."""
    with transaction.atomic():
        stop(archive=archive, actor=actor)
        Archive.objects.filter(pk=archive.pk).delete()
        facts = {"what": KINDS[archive.kind].title, "experiment": _number(archive)}
        events.record("archive.removed", project=archive.project, actor=actor, **facts)
        transaction.on_commit(lambda: shutil.rmtree(archive_folder(archive), ignore_errors=True))


def publish(*, archive: Archive, file: Path, name: str, sha256: str, mark: str) -> None:
    """Give a whole file its place and say that it is there; to be called inside the attempt's transaction.

    `mark` is the fingerprint of what the file was made of, which may have changed since it was asked for; empty, when
    it changed on the way: such a file is not taken for the next one who asks. Raises Cancelled when the archive was
    removed meanwhile.
    """
    taken = Archive.objects.filter(project_id=archive.project_id, fingerprint=mark).exclude(pk=archive.pk).exists()
    changed = Archive.objects.filter(pk=archive.pk).update(
        name=name[:200], sha256=sha256, bytes=file.stat().st_size, ready_at=timezone.now(),
        fingerprint=f"once {archive.slug}" if taken or not mark else mark,
    )  # fmt: skip
    if not changed:
        raise Cancelled("The download was removed.")
    os.replace(file, archive_folder(archive) / found.CONTENT)


def tidy(archive: Archive) -> int:
    """Remove what a new archive replaces, and what is older than people expect; returns how many went.

    Only archives: their content can be made again from what they were made of.
    """
    old = Q(created__lt=timezone.now() - found.KEPT)
    replaced = Q(experiment=archive.experiment_id, kind=archive.kind, options=archive.options, pk__lt=archive.pk)
    rows = Archive.objects.filter(project_id=archive.project_id).filter(old | replaced).exclude(pk=archive.pk)
    doomed = [one for one in rows.select_related("project") if not found.shown(one).is_open]
    for one in doomed:
        Archive.objects.filter(pk=one.pk).delete()
        shutil.rmtree(archive_folder(one), ignore_errors=True)
    _remove_orphans(archive)
    return len(doomed)


def _remove_orphans(archive: Archive) -> None:
    """Folders of archives that were removed while a worker wrote there."""
    known = set(Archive.objects.filter(project_id=archive.project_id).values_list("slug", flat=True))
    with suppress(FileNotFoundError):
        for folder in archive_folder(archive).parent.iterdir():
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)


def _options(kind: str, boxes: Iterable[str], chosen: str) -> dict[str, Any]:
    spec: Kind | None = KINDS.get(kind)
    if spec is None:
        raise ValidationError({"kind": f"There is no download {kind[:40]!r}; choose one of {', '.join(KINDS)}."})
    try:
        options = clean_options(spec, boxes=boxes, chosen=chosen)
    except ValueError as error:
        raise ValidationError({"options": str(error)}) from None
    if kind == "everything" and not any(options.values()):
        raise ValidationError({"options": "Nothing is ticked, so there is nothing to put in."})
    return options


def _add(experiment: Experiment, kind: str, options: dict[str, Any], mark: str, actor: User | None) -> Archive:
    count = Archive.objects.filter(project=experiment.project).count()
    if count >= _MOST:
        raise NotThereError(
            f"This project keeps {count} {plural(count, 'download')} already, which is the most. Remove some first."
        )
    archive = Archive(
        project=experiment.project, experiment=experiment, kind=kind, options=options, fingerprint=mark, asked_by=actor
    )
    archive.full_clean(exclude=["options", "asked_by"])  # options are checked above, and some kinds have none
    archive.save()
    return archive


def _make(archive: Archive, actor: User | None) -> None:
    Archive.objects.filter(pk=archive.pk).update(ready_at=None)
    errands.ask(kind=KIND, project=archive.project, subject=archive.pk, actor=actor)
    facts = {"what": KINDS[archive.kind].title, "experiment": _number(archive)}
    events.record("archive.asked", project=archive.project, actor=actor, **facts)


def _number(archive: Archive) -> int | None:
    return archive.experiment.number if archive.experiment else None
