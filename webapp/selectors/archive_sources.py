"""Where the parts of a download lie, and the hash by which the same download is recognised."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db.models import Max

from sptar_engine.arms import ARMS, BI_ENCODER, ending
from sptar_engine.artifacts import sha256_json
from webapp.archive_kinds import KINDS, default_options, family_in
from webapp.models import BulkReview, Decision, Errand, Experiment, ReviewStep, StageRun, State
from webapp.places import store_folder
from webapp.selectors import model_cards
from webapp.selectors.artifacts import stage_folder, value_of

_LAYOUT = 2  # raised when the same sources give other files


@dataclass(frozen=True, slots=True)
class Packed:
    """A packed search model: its zip, what package.json says, the folder of the trained model, its exact versions."""

    stage: StageRun
    archive: Path
    listing: Mapping[str, Any]
    model: Path | None
    card: str
    pins: Mapping[str, str]

    @property
    def name(self) -> str:
        """The top folder inside of the zip."""
        return self.archive.stem

    @property
    def family(self) -> str:
        """What kind of search model it is."""
        return self.stage.family or BI_ENCODER

    @property
    def file_name(self) -> str:
        """What its file is called when it is sent."""
        return file_name(self.stage, self.archive.name)


@dataclass(frozen=True, slots=True)
class Sources:
    """What the finished steps of an experiment have left to download."""

    experiment: Experiment
    packages: Sequence[Packed]
    """The packed search models, the bi-encoder first."""
    adapter: Path | None
    written: Sequence[StageRun]
    """Finished generate steps."""
    measured: Sequence[tuple[StageRun, Path]]
    """Finished evaluate steps with their folders."""
    prepared: Path | None
    stages: Sequence[StageRun]

    @property
    def packed(self) -> Packed | None:
        """The first of the packed search models."""
        return next(iter(self.packages), None)

    @property
    def dense(self) -> Packed | None:
        """The packed search model that makes one vector of a document."""
        return next((one for one in self.packages if one.family in _DENSE), None)

    def package(self, family: str) -> Packed | None:
        """The packed search model of a family; without a family the first."""
        return next((one for one in self.packages if not family or one.family == family), None)

    def complete(self, kind: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options with the family named: where nobody chose one, that of the first packed search model."""
        if not KINDS[kind].by_family or "family" in options or self.packed is None:
            return dict(options)
        return {**options, "family": self.packed.family}

    def standard(self, kind: str) -> list[dict[str, Any]]:
        """The options of a part of everything: nobody's choice, and one of each packed search model."""
        options = default_options(KINDS[kind])
        return [{**options, "family": one.family} for one in self.packages] if KINDS[kind].by_family else [options]

    def missing(self, kind: str) -> str:
        """Why there is no such download, as a sentence; empty when there is one."""
        has = {
            "retriever": self.packed, "soft_prompt": self.adapter, "questions": self.written, "runs": self.measured,
            "report": self.experiment.comparison.get("arms"), "embeddings": self.dense and self.dense.model,
            "everything": self.packed or self.measured or self.written,
        }  # fmt: skip
        if has[kind]:
            return ""
        if self.packed is None and kind in ("retriever", "embeddings") and self._was_packed:
            return "The packed search model is damaged or gone from the disk. Run the experiment again exactly."
        if kind == "embeddings" and self.packed is not None:
            return _NO_VECTORS
        return _MISSING[kind]

    @property
    def _was_packed(self) -> bool:
        return any(stage.stage == "package" for stage in self.stages)


_MISSING = {
    "retriever": "This experiment has packed no search model yet.",
    "soft_prompt": "This experiment has taught no question writer yet.",
    "questions": "This experiment has written no questions yet.",
    "runs": "No search of this experiment is measured yet.",
    "report": "No search of this experiment is measured yet.",
    "embeddings": "This experiment has trained no search model yet.",
    "everything": "This experiment has no results yet.",
}
_NO_VECTORS = "Only a bi-encoder or an adapter makes one vector of a document, and this experiment has packed neither."
_DENSE = frozenset({BI_ENCODER, "adapter"})


def sources_of(experiment: Experiment) -> Sources:
    """What there is, by the rows and by what lies on the disk. One query."""
    stages = [stage for stage in experiment.stages.order_by("position") if stage.state == State.DONE and stage.folder]
    folders = {stage.step_id: stage_folder(experiment.project, stage) for stage in stages}
    tuned, prepared = folders.get("tune"), folders.get("prepare")
    adapter = tuned / "adapter" if tuned else None
    return Sources(
        experiment=experiment,
        packages=[
            packed for stage in stages if stage.stage == "package" and (packed := _packed(experiment, stages, stage))
        ],
        adapter=adapter if adapter and adapter.is_dir() else None,
        written=[stage for stage in stages if stage.stage == "generate"],
        measured=[
            (stage, folder) for stage in stages if stage.stage == "evaluate" and (folder := folders[stage.step_id])
        ],
        prepared=prepared,
        stages=stages,
    )


def package_of(experiment: Experiment, family: str = "") -> StageRun | None:
    """The finished step that has packed the search model of a family; without a family the first."""
    stages = experiment.stages.filter(stage="package", state=State.DONE).order_by("position")
    return next((stage for stage in stages if family in ("", stage.family or BI_ENCODER)), None)


def file_name(stage: StageRun, name: str) -> str:
    """What the file of a packed search model is called when it is sent: of several families no two are alike.

    The engine names archives so by now; those of older experiments are all called the same.
    """
    stem, dot, extension = name.rpartition(".")
    kind = ending(stage.family)
    return name if stem.endswith(kind) else f"{stem}{kind}{dot}{extension}"


def packed_arm(sources: Sources) -> str:
    """The arm whose generated questions the packed model learned from: the last one that writes some; "" for none."""
    arms = {arm for stage in sources.written for arm in stage.arms}
    return next((arm for arm in reversed(list(ARMS)) if arm in arms), "")


def fingerprint(sources: Sources, kind: str, options: Mapping[str, Any]) -> str:
    """Hash of all that the archive is made of, as it is now."""
    return sha256_json([_LAYOUT, sources.experiment.pk, kind, dict(options), _parts(sources, kind, options)])


def _parts(sources: Sources, kind: str, options: Mapping[str, Any]) -> Any:
    if kind == "everything":
        return {
            part: [_parts(sources, part, one) for one in sources.standard(part)]
            for part, is_wanted in options.items()
            if is_wanted and not sources.missing(part)
        }
    if kind == "retriever":
        packed = sources.package(family_in(options))
        return packed and [packed.listing["sha256"], model_cards.card_of(sources.experiment, packed.card, options)]
    if kind == "soft_prompt":
        return [[stage.folder, stage.digest] for stage in sources.stages if stage.stage in ("tune", "select")]
    if kind == "questions":
        return [[stage.folder, _said(sources.experiment, stage)] for stage in sources.written] + [
            [stage.folder, stage.digest] for stage in sources.stages if stage.stage == "filter"
        ]
    if kind == "runs":
        steps = [[stage.step_id, stage.folder, stage.digest] for stage, _ in sources.measured]
        newest = sources.experiment.rescorings.order_by("-number").values_list("number", "qrels").first()
        return [steps, list(newest)] if newest else steps
    if kind == "embeddings":
        trained = sources.dense and sources.dense.model
        return [trained and trained.parent.name, sources.experiment.corpus.sha256]
    return _reported(sources)


def _reported(sources: Sources) -> list[Any]:
    """What a report is drawn from, by whichever judgements."""
    one = sources.experiment
    rescored = one.rescorings.order_by("number").values_list("number", "qrels", "comparison")
    steps = [[stage.step_id, stage.folder, stage.digest] for stage in sources.stages]
    return [str(one), one.note, one.state, one.project.name, one.comparison, steps, [list(row) for row in rescored]]


def _said(experiment: Experiment, stage: StageRun) -> list[Any]:
    """What people have said of a batch so far, in few numbers: each verdict, edit and undoing changes one of them.

    Told by what they did, step by step and in bulk; the verdicts may be a million, and a person waits for this.
    """
    project = experiment.project_id
    steps = ReviewStep.objects.filter(project=project, weak__batch=stage.folder).order_by()
    said = steps.aggregate(newest=Max("pk"), undone=Max("undone"))
    bulk = BulkReview.objects.filter(project=project, batch=stage.folder).order_by("pk")
    taking_back = Errand.objects.filter(kind="review.bulk_undo", project=project).order_by("pk")
    promoted = Decision.objects.filter(project=project, kind="query.promoted").order_by()
    examples = promoted.aggregate(newest=Max("pk"), undone=Max("undone"))
    return [
        said["newest"], str(said["undone"]), examples["newest"], str(examples["undone"]),
        [[pk, number, str(end)] for pk, number, end in bulk.values_list("pk", "questions", "undone_at")],
        [list(row) for row in taking_back.filter(subject__in=bulk.values("pk")).values_list("pk", "state")],
    ]  # fmt: skip


def _packed(experiment: Experiment, stages: Sequence[StageRun], stage: StageRun) -> Packed | None:
    folder = stage_folder(experiment.project, stage)
    if folder is None:
        return None
    listing = value_of(experiment.project, stage, "package.json")
    archive = folder / str(listing["archive"]) if listing else None
    if archive is None or not archive.is_file():
        return None
    try:
        card, pins = _read_zip(archive)
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, OSError, ValueError):
        return None  # cut or changed on the disk: `missing` says so
    trained = next((one for one in stages if one.step_id == stage.inputs.get("train")), None)
    model = store_folder(experiment.project) / "stages" / trained.folder / "model" if trained else None
    return Packed(stage, archive, listing, model if model and model.is_dir() else None, card, pins)


def _read_zip(archive: Path) -> tuple[str, dict[str, str]]:
    """The model card and the exact versions of a packed model."""
    with zipfile.ZipFile(archive) as content:
        card = content.read(f"{archive.stem}/README.md").decode()
        lines = content.read(f"{archive.stem}/requirements.txt").decode().split()
    return card, dict(line.split("==", 1) for line in lines if "==" in line)
