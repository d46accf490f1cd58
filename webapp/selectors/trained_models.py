"""Trained search models of a project: which there are, where they lie, and how a search names them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet

from sptar_engine.arms import ARMS, BI_ENCODER, CROSS_ENCODER, FAMILIES, HYBRID, cell, read_cell
from sptar_engine.serving.library import MAX_LENGTH
from webapp.cells import is_trained
from webapp.models import Experiment, Project, StageRun, State
from webapp.places import store_folder
from webapp.search import client
from webapp.selectors.words import arm_name, is_teacher

LISTED = 50
"""Trained models that a page offers, the newest first."""
_VECTORS = frozenset({BI_ENCODER, "adapter", HYBRID})  # families whose models turn a text into one vector
_TURN = r"\.(first|[0-9]+)$"  # ends the id of a first round and of a repeat (webapp.selectors.words.turn_of)
_READ = 6  # as many rows for each that is listed: beside a result there are a hybrid and a training of a teacher
_FOLDER = "model"  # within a train stage's result (sptar_engine.stages.train)


class NotTrainedError(Exception):
    """There is no such trained model, or not any more. The text says so."""


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A search model that an experiment has trained; of several repeats the first, which is packed."""

    stage: StageRun
    arm: str
    """Its cell (webapp.cells): the arm it stands for, and the family unless it is a bi-encoder.

    Arms that learn from the same share one training, which is a model of each of them.
    """
    fusion: StageRun | None = None
    """Of a hybrid, the step that chose how keyword search and this model are put together."""
    fusion_before: StageRun | None = None
    """The same of the untrained hybrid: what training has changed shows against that one alone."""

    @property
    def experiment(self) -> Experiment:
        """Whose it is."""
        return self.stage.experiment

    @property
    def family(self) -> str:
        """What kind of search model it is."""
        return HYBRID if self.fusion else self.stage.family or BI_ENCODER

    @property
    def reads(self) -> bool:
        """Whether it only puts the first hits of keyword search in order here: it has no single vector of a text."""
        return self.family not in _VECTORS

    @property
    def name(self) -> str:
        """For people."""
        return f"{arm_name(self.arm)}, experiment {self.experiment.number}"

    @property
    def searches_as_before(self) -> bool:
        """Whether training did not help, so that it searches as the untrained model does.

        Untrained weights in another kind of search model (late interaction, say) are another search all the same.
        """
        return bool(self.stage.metrics.get("kept_untrained")) and not self.reads

    @property
    def folder(self) -> Path:
        """Where sentence-transformers loads it from."""
        return self._stages / self.stage.folder / _FOLDER

    @property
    def asked_before(self) -> dict[str, Any] | None:
        """What the search service is asked for the untrained search; None where its files are gone."""
        return self._asked(self.before, self.fusion_before)

    @property
    def asked_after(self) -> dict[str, Any] | None:
        """The same for the trained one."""
        if self.searches_as_before:
            return self.asked_before
        return self._asked(self.after, self.fusion) if self.folder.is_dir() else None

    def _asked(self, retriever: str, fusion: StageRun | None) -> dict[str, Any] | None:
        if fusion is None:
            # A cross-encoder puts the hits of the BM25 in order with which it was measured.
            config = self.stage.config if self.family == CROSS_ENCODER and retriever == self.after else {}
            return {"retriever": retriever, **{name: config[name] for name in ("k1", "b") if name in config}}
        folder = self._stages / fusion.folder
        words = {name: fusion.config[name] for name in ("k1", "b") if name in fusion.config}
        return {"retriever": retriever, "fusion": str(folder), **words} if folder.is_dir() else None

    @property
    def _stages(self) -> Path:
        return store_folder(self.experiment.project) / "stages"

    @property
    def before(self) -> str:
        """What the search service calls the untrained model that training began with."""
        base = str(self.stage.config.get("base", settings.SEARCH_BASE))
        return _reading(client.BASE if base == settings.SEARCH_BASE else base, self.stage.config)

    @property
    def after(self) -> str:
        """What the search service calls the trained model. One with the untrained weights needs no index of its own."""
        return self.before if self.searches_as_before else _reading(str(self.folder), self.stage.config)

    @property
    def searches(self) -> list[str]:
        """What has to be ready in the search service for the model to be tried, in the order it is made ready."""
        return list(dict.fromkeys([client.BM25, self.before, self.after]))


def trained_models(project: Project) -> list[TrainedModel]:
    """The models, the newest experiment's first, and of each the packed arm's and its bi-encoder first. One query.

    Points of learning curves stand after all others: they learned from fewer examples on purpose. What was trained
    only to teach is left out.
    """
    rows = _firsts().filter(experiment__project=project, variant="").annotate(is_point=~Q(experiment__series=""))
    rows = rows.select_related("experiment").order_by("is_point", "-experiment__number", "-position")
    found = [_with(project, row) for row in rows.defer(*_UNREAD)[: _READ * LISTED] if not is_teacher(row)]
    trained = {(row.experiment_id, row.step_id): row for row in found if row.stage == "train"}
    read = [TrainedModel(row, name) for row in trained.values() for name in _cells(row)]
    untrained = {row.experiment_id: row for row in found if _fuses_untrained(row)}
    read += [
        TrainedModel(trained[key], name, row, untrained[row.experiment_id])
        for row in found
        if row.stage == "fuse" and (key := (row.experiment_id, row.inputs.get("train", ""))) in trained
        if row.experiment_id in untrained
        for name in _cells(row)
    ]
    read.sort(key=lambda one: (bool(one.experiment.series), -one.experiment.number, *_place(one)))
    return read[:LISTED]


def find_model(experiment: Experiment, arm: str) -> TrainedModel:
    """The model of a cell. Raises NotTrainedError."""
    if not is_trained(arm):
        raise NotTrainedError(f"“{arm[:40]}” trains no search model.")
    rows = _firsts().filter(Q(variant=read_cell(arm).variant) | Q(stage="fuse", variant=""), experiment=experiment)
    found = list(rows.select_related("experiment", "experiment__project").order_by("position"))
    row = next((row for row in found if arm in _cells(row)), None)
    if row is None:
        raise NotTrainedError(f"“{arm_name(arm)}” of experiment {experiment.number} is not trained yet.")
    if row.stage == "train":
        return TrainedModel(row, arm)
    untrained = next((one for one in found if _fuses_untrained(one)), None)
    trained = next((one for one in found if one.step_id == row.inputs.get("train")), None)
    if untrained is None or trained is None:
        raise NotTrainedError(
            f"“{arm_name(arm)}” of experiment {experiment.number} has no untrained hybrid to stand beside; compare "
            "with the untrained model too."
        )
    return TrainedModel(trained, arm, row, untrained)


def trained_model(experiment: Experiment, arm: str) -> Path:
    """The folder of the model of a cell. Raises NotTrainedError when there is none, or none on the disk any more."""
    folder = find_model(experiment, arm).folder
    if not folder.is_dir():
        raise NotTrainedError("The files of this search model are no longer on the disk. Run its experiment again.")
    return folder


def _reading(retriever: str, config: dict[str, Any]) -> str:
    """A model reads as many tokens of a text as in its experiment, or its ranking would be another one."""
    tokens = int(config.get("max_length", MAX_LENGTH))
    return retriever if tokens == MAX_LENGTH else f"{retriever}:{tokens}"


def _firsts() -> QuerySet[StageRun]:
    """Trainings and hybrids of them that are done, of several repeats the first.

    Without those rounds that only make the own teacher.
    """
    return (
        StageRun.objects.filter(stage__in=("train", "fuse"), state=State.DONE)
        .exclude(folder="")
        .exclude(step_id__regex=_TURN)
    )


def _fuses_untrained(row: StageRun) -> bool:
    return row.stage == "fuse" and "train" not in row.inputs


def _cells(row: StageRun) -> list[str]:
    """The cells that a training, or a hybrid of one, is the model of: one of each arm that shares it."""
    return [cell(arm, row.family, row.variant) for arm in row.arms]


def _place(model: TrainedModel) -> tuple[int, int]:
    """The last arm first, which is packed; its families in their order."""
    return -list(ARMS).index(read_cell(model.arm).arm), list(FAMILIES).index(model.family)


def _with(project: Project, row: StageRun) -> StageRun:
    row.experiment.project = project
    return row


_UNREAD = (
    "traceback", "aside", "experiment__comparison", "experiment__settings", "experiment__note", "experiment__counts",
    "experiment__machine", "experiment__decision_counts",
)  # fmt: skip
