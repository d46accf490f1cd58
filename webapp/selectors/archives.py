"""The page "Download": what an experiment has to give, and the archives that were made of it."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.db.models import Exists, OuterRef, Q

from sptar_engine.arms import BI_ENCODER, CROSS_ENCODER
from sptar_engine.packaging.usage import USAGES
from sptar_engine.retrieval.fusion import FUSION_FILE
from webapp.archive_kinds import KINDS, Kind, family_in
from webapp.models import Archive, Errand, Experiment, Project, StageRun, State
from webapp.places import archive_folder
from webapp.selectors.archive_sources import Packed, sources_of
from webapp.selectors.experiments import left_words
from webapp.selectors.words import family_name, size

__all__ = ["KINDS", "Shelf", "file_of", "shelf_of", "shown"]

ERRAND = "archive.make"
KEPT = timedelta(days=30)
"""How long an archive is kept; it can be made again at any time."""
CONTENT = "content"
"""What the file of an archive is called on the disk: people's names for it are only sent along."""

_VECTORS = "model.encode_query and model.encode_document give the vectors, model.similarity compares them."
_EACH_SIDE = "model.encode_query and model.encode_document read the texts, model.similarity compares them."
_USAGES = {
    "bi_encoder": _VECTORS,
    "adapter": _VECTORS,
    "late_interaction": _EACH_SIDE,
    "cross_encoder": "model.rank(query, documents) puts the documents that another search has found in order.",
    "sparse": _EACH_SIDE,
}  # what a person does with a loaded model, by family

_CHOICES = 30  # experiments to choose from
_ROWS = 60  # newest archives of an experiment that are looked at
_SHOWN = 3  # newest archives of a kind that are shown


@dataclass(frozen=True, slots=True)
class Shown:
    """An archive as the page has it. `state` is ready, open, failed, stopped or gone."""

    archive: Archive
    kind: Kind
    state: str
    label: str
    format: str
    parts: str
    errand: Errand | None
    left: str
    size: str
    until: datetime | None

    @property
    def is_open(self) -> bool:
        """Whether it is being made, so that the page asks again."""
        return self.state == "open"


@dataclass(frozen=True, slots=True)
class Item:
    """A kind of download, why there is none, and the archives there are."""

    kind: Kind
    missing: str
    rows: list[Shown]


@dataclass(frozen=True, slots=True)
class Model:
    """A packed search model, ready to download as it is."""

    packed: Packed
    kind: str
    name: str
    size: str
    sha256: str
    is_checked: bool
    install: str
    load: str
    usage: str


@dataclass(frozen=True, slots=True)
class Shelf:
    """Everything on the page. `choices` are the experiments that have results, points of learning curves last."""

    experiment: Experiment | None
    choices: Sequence[Experiment]
    models: Sequence[Model]
    model_missing: str
    items: list[Item]


def shelf_of(project: Project, number: int | None = None) -> Shelf:
    """The downloads of an experiment: of the one asked for, else of the newest with a packed model, else the newest.

    A point of a learning curve is only given where it is asked for. Five queries. `experiment` is None when none was
    asked for that exists, or when nothing has results yet.
    """
    choices = _choices(project)
    experiment = _choose(project, choices, number)
    if experiment is None:
        return Shelf(None, choices, [], "", [])
    sources = sources_of(experiment)
    rows = _archives(experiment)
    items = [Item(kind, sources.missing(key), rows.get(key, [])[:_SHOWN]) for key, kind in KINDS.items()]
    models = [_model(packed) for packed in sources.packages]
    return Shelf(experiment, choices, models, sources.missing("retriever"), items)


def shown(archive: Archive) -> Shown:
    """One archive, for the part of the page that follows it."""
    return shown_all(archive.project_id, [archive])[0]


def shown_all(project: int, archives: Sequence[Archive]) -> list[Shown]:
    """Archives of a project, in their order. One query."""
    errands = _errands(project, [one.pk for one in archives])
    return [_shown(one, errands.get(one.pk)) for one in archives]


def file_of(archive: Archive) -> Path | None:
    """The archive's file, or None while it is not made, or when it is gone."""
    path = archive_folder(archive) / CONTENT
    return path if archive.ready_at and path.is_file() else None


def _choices(project: Project) -> list[Experiment]:
    done = StageRun.objects.filter(experiment=OuterRef("pk"), state=State.DONE)
    rows = project.experiments.annotate(
        has_results=Exists(done.exclude(stage="prepare")), is_packed=Exists(done.filter(stage="package")),
        is_point=~Q(series=""),
    )  # fmt: skip
    rows = rows.filter(has_results=True).select_related("corpus").defer("settings", "machine")
    found = list(rows.order_by("is_point", "-number")[:_CHOICES])
    for one in found:
        one.project = project
    return found


def _choose(project: Project, choices: Sequence[Experiment], number: int | None) -> Experiment | None:
    if number is None:
        own = [one for one in choices if not one.series] or choices
        packed = [one for one in own if getattr(one, "is_packed", False)]
        return next(iter(packed or own), None)
    found = next((one for one in choices if one.number == number), None)
    if found is None:
        found = project.experiments.select_related("corpus").filter(number=number).first()
    if found is not None:
        found.project = project
    return found


def _archives(experiment: Experiment) -> dict[str, list[Shown]]:
    archives = list(
        Archive.objects.filter(project=experiment.project, experiment=experiment)
        .select_related("asked_by")
        .order_by("-id")[:_ROWS]
    )
    errands = _errands(experiment.project_id, [one.pk for one in archives])
    found: dict[str, list[Shown]] = {}
    for archive in archives:
        archive.project, archive.experiment = experiment.project, experiment
        if archive.kind in KINDS:
            found.setdefault(archive.kind, []).append(_shown(archive, errands.get(archive.pk)))
    return found


def _errands(project: int, subjects: Iterable[int]) -> Mapping[int, Errand]:
    """The latest errand of each archive."""
    rows = Errand.objects.filter(project_id=project, kind=ERRAND, subject__in=list(subjects))
    return {row.subject: row for row in rows.defer("traceback", "metrics").order_by("pk")}


def _shown(archive: Archive, errand: Errand | None) -> Shown:
    state, label = _state(archive, errand)
    kind = KINDS[archive.kind]
    return Shown(
        archive=archive, kind=kind, state=state, label=label, errand=errand,
        format=_format(kind, archive.options),
        parts=", ".join(box.label for box in kind.boxes if archive.options.get(box.key)),
        left=left_words(errand) if errand and state == "open" else "",
        size=size(archive.bytes),
        until=archive.ready_at + KEPT if archive.ready_at else None,
    )  # fmt: skip


def _format(kind: Kind, options: Mapping[str, Any]) -> str:
    """The format, or the kind of search model where it is none of the usual one."""
    if (family := family_in(options)) != BI_ENCODER:
        return f"{kind.title}: {family_name(family).lower()}"
    return next((one.label for one in kind.formats if one.key == options.get("format")), "")


def _state(archive: Archive, errand: Errand | None) -> tuple[str, str]:
    if errand is not None and not State(errand.state).is_over:
        return "open", State(errand.state).label
    if archive.ready_at:
        return ("ready", "Ready") if file_of(archive) else ("gone", "Its file is gone")
    if errand is not None and errand.state == State.CANCELLED:
        return "stopped", "Stopped"
    return "failed", "Failed"


def _beside(family: str, files: Container[str]) -> Iterator[str]:
    """What the archive holds for a search together with keyword search, as it was measured."""
    if family == CROSS_ENCODER and FUSION_FILE in files:
        yield "Its score was measured beside that search's: load_example.py puts both together."
    elif FUSION_FILE in files:
        yield "load_example_hybrid.py puts it together with a keyword search, as the hybrid was measured."


def _model(packed: Packed) -> Model:
    listing, version = packed.listing, packed.pins.get("sentence-transformers", "")
    loader = USAGES[packed.family].loader
    return Model(
        packed=packed,
        kind=family_name(packed.family),
        name=packed.file_name,
        size=size(listing["bytes"]),
        sha256=listing["sha256"],
        is_checked=bool(listing.get("load_check", {}).get("passed")),
        install=f'python -m pip install "sentence-transformers=={version}"',
        load=(
            f'from sentence_transformers import {loader}; model = {loader}("{packed.name}")'
            f"  # sentence-transformers=={version}"
        ),
        usage=" ".join((_USAGES[packed.family], *_beside(packed.family, listing.get("files", {})))),
    )
