"""The sample project: Python's own documentation with questions a person would ask, and an experiment on it.

It goes the way of a person's upload: a BEIR archive is received, checked and imported, its examples and splits with it,
and then the preset `fast` is started. Each part is work of its own in the queue, so all of it survives a stop.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.db import transaction

from sptar_engine.arms import STANDARD_ARMS
from sptar_engine.errors import StageError
from sptar_engine.presets import PRESETS
from webapp.models import Experiment, Project, Role, Upload, User
from webapp.services import errands, experiments, projects, uploads
from webapp.uploads import ReceivedFile, swept

LOAD, START = "sample.load", "sample.start"

_NAME = "Sample: Python's standard library"
_ABOUT = (
    "Help texts of Python's standard library, with questions a person would ask about them. Look around, change what "
    "you like, delete it when you are done."
)
_PRESET = "fast"
_BUILD_SECONDS = 300


def load(actor: User) -> Project:
    """Return the person's sample project. What it still lacks is asked for and comes by itself."""
    with transaction.atomic():
        User.objects.select_for_update().get(pk=actor.pk)  # two clicks make one project
        project = _own(actor)
        if project is None:
            project = projects.create(name=_NAME, description=_ABOUT, owner=actor, is_sample=True)
        if project.corpus_id is None:
            errands.ask(kind=LOAD, project=project, subject=project.pk, actor=actor)
        else:
            go_on(project, actor)
    return project


@contextmanager
def archive() -> Iterator[Path]:
    """The sample dataset as a zip in BEIR's layout; it goes when the block ends."""
    folder = swept(Path(settings.DATA_DIR) / "scratch")  # on the disk of the uploads, where it is moved to
    with tempfile.TemporaryDirectory(dir=folder, prefix="sample-") as scratch:
        dataset, path = Path(scratch) / "dataset", Path(scratch) / "sample.zip"
        _write_dataset(dataset)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            for file in sorted(one for one in dataset.rglob("*") if one.is_file()):
                packed.write(file, file.relative_to(dataset).as_posix())
        yield path


def upload_archive(path: Path, project: Project, actor: User) -> Upload | None:
    """Upload the archive, unless that has happened. Call it inside a fenced transaction."""
    if project.uploads.filter(stage__in=[*uploads.OPEN, Upload.Stage.DONE]).exists():
        return None
    file = ReceivedFile(path, name="sample.zip", size=path.stat().st_size)
    with path.open("rb") as source:
        file.sha256 = hashlib.file_digest(source, "sha256").hexdigest()
    try:
        upload = uploads.receive(project=project, file=file, actor=actor)
    finally:
        file.close()
    uploads.start_check(upload=upload, kind=Upload.Kind.BEIR, options={}, actor=actor)
    return upload


def go_on(project: Project, actor: User | None) -> None:
    """Have the experiment of a sample project started once its documents are in."""
    if project.is_sample and not project.experiments.exists():
        errands.ask(kind=START, project=project, subject=project.pk, actor=actor)


def start_experiment(project: Project, actor: User) -> Experiment:
    """Start the usual arms with the preset `fast`; the experiment that is there already when it is called again."""
    return experiments.start(
        project=project, actor=actor, request_token=START, preset=_PRESET, arms=STANDARD_ARMS,
        settings=PRESETS[_PRESET].settings, name="First look",
    )  # fmt: skip


def newest_experiment(project: Project) -> Experiment | None:
    """What a sample project's page and the terminal show."""
    return project.experiments.order_by("-number").first()


def _own(actor: User) -> Project | None:
    mine = Project.objects.filter(is_sample=True, deleted=None, memberships__user=actor, memberships__role=Role.OWNER)
    return mine.order_by("pk").first()


def _write_dataset(folder: Path) -> None:
    """In a process of its own, whose memory goes with it."""
    command = [sys.executable, "-m", "sptar_engine", "sample", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_BUILD_SECONDS, check=False)  # noqa: S603
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise StageError(f"The sample dataset could not be written: {last}")
