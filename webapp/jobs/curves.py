"""The numbers of a stage that are drawn: held-out perplexity per epoch, loss and nDCG per step, candidate sets.

While a stage runs the points come from its reports; when it is done, its history file replaces them. `step` is what
stands on the horizontal axis: the epoch of tune, the step of train, the number of the example set of select.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from django.db import transaction

from sptar_engine.artifacts import read_jsonl
from webapp.models import CurvePoint, StageRun

HISTORY_FILE = "history.jsonl"

Values = dict[str, float | int]

_AXES = {"tune": "epoch", "train": "step"}
_MOST = 500  # points of a curve: more than a screen has columns to show
_MEASURED = ("heldout_perplexity", "dev_nDCG@10")


class Curve:
    """Gathers points between two writes."""

    def __init__(self, row: StageRun) -> None:
        self._row = row
        self._points: dict[int, Values] = {}
        self._losses: list[float] = []
        self._epoch = 0

    def add(self, done: int, numbers: Mapping[str, float | int | str]) -> None:
        """Take what a report has to draw."""
        values = {name: value for name, value in numbers.items() if not isinstance(value, str) and math.isfinite(value)}
        if self._row.stage == "tune" and "epoch" in values:
            self._add_epoch(int(values["epoch"]), values)
        elif self._row.stage == "train" and "step" in values:
            self._add_step(int(values["step"]), values)
        elif self._row.stage == "select" and "perplexity" in values:
            self._points[done] = values

    def flush(self) -> None:
        """Write the points; to be called inside the attempt's transaction. They are let go of once it is through."""
        CurvePoint.objects.bulk_create(
            [CurvePoint(stage_run=self._row, step=step, values=values) for step, values in self._points.items()],
            update_conflicts=True, update_fields=["values"], unique_fields=["stage_run", "step"],
        )  # fmt: skip
        transaction.on_commit(self._keep_newest)

    def replace(self, folder: Path) -> None:
        """Take the points from a finished stage's history; to be called inside the attempt's transaction."""
        axis = _AXES.get(self._row.stage)
        if axis is None:
            self.flush()
            return
        points = list(_thinned(list(read_jsonl(folder / HISTORY_FILE)), axis))
        CurvePoint.objects.filter(stage_run=self._row).delete()
        CurvePoint.objects.bulk_create(
            [CurvePoint(stage_run=self._row, step=point[axis], values=point) for point in points]
        )

    def _keep_newest(self) -> None:
        """The newest may still get its dev score, so it stays; written twice it is the same row."""
        newest = max(self._points, default=None)
        self._points = {newest: self._points[newest]} if newest is not None else {}

    def _add_epoch(self, epoch: int, values: Values) -> None:
        """A training loss is reported per batch: what is drawn of an epoch is their mean so far."""
        if epoch != self._epoch:
            self._epoch, self._losses = epoch, []
        if "loss" in values:
            self._losses.append(values.pop("loss"))
        if self._losses:
            values["train_loss"] = sum(self._losses) / len(self._losses)
        self._points[epoch] = {**self._points.get(epoch, {}), **values}

    def _add_step(self, step: int, values: Values) -> None:
        unmeasured = [one for one, point in self._points.items() if not point.keys() & set(_MEASURED)]
        for one in unmeasured:
            if one != step:
                del self._points[one]  # of the losses between two writes the last one is enough
        self._points[step] = {**self._points.get(step, {}), **values}


def _thinned(rows: list[Mapping[str, float | None]], axis: str) -> Iterator[Values]:
    """Rows without the numbers that were not measured: all that hold a measurement, and of the others about 500."""
    every = math.ceil(len(rows) / _MOST) or 1
    for place, row in enumerate(rows):
        values = {name: value for name, value in row.items() if value is not None}
        if place % every == 0 or place == len(rows) - 1 or values.keys() & set(_MEASURED):
            yield {**values, axis: int(values[axis])}
