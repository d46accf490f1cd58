"""Numbers are drawn as they come, and a finished stage's history replaces them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, transaction

from sptar_engine.artifacts import write_jsonl
from tests.webapp.jobs.installation import Installation
from webapp.jobs.curves import Curve
from webapp.models import CurvePoint, StageRun

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fake_stages")]


@pytest.fixture
def stage(data_dir: Path) -> StageRun:
    made = Installation(data_dir, data_dir / "none.sock", "").experiment(upto="prepare")
    return made.stages.get(stage="tune")


def points(stage: StageRun) -> list[tuple[int, dict[str, Any]]]:
    return list(CurvePoint.objects.filter(stage_run=stage).order_by("step").values_list("step", "values"))


def test_epoch_has_the_mean_loss_of_its_batches_and_its_perplexity(stage: StageRun) -> None:
    curve = Curve(stage)
    curve.add(1, {"epoch": 1, "loss": 4.0})
    curve.flush()
    curve.add(2, {"epoch": 1, "loss": 2.0})
    curve.add(2, {"epoch": 1, "heldout_perplexity": 30.0, "best_epoch": 1})
    curve.add(3, {"epoch": 2, "loss": 1.0, "note": "not a number"})
    curve.flush()
    curve.flush()
    assert points(stage) == [
        (1, {"epoch": 1, "train_loss": 3.0, "heldout_perplexity": 30.0, "best_epoch": 1}),
        (2, {"epoch": 2, "train_loss": 1.0}),
    ]


def test_of_the_losses_between_two_writes_the_last_is_kept_and_every_measurement(stage: StageRun) -> None:
    stage.stage = "train"
    curve = Curve(stage)
    for step in range(1, 6):
        curve.add(step * 96, {"step": step, "loss": 1.0 / step})
        if step == 2:
            curve.add(step * 96, {"step": step, "dev_nDCG@10": 0.5, "best_step": 2})
    curve.flush()
    assert points(stage) == [
        (2, {"step": 2, "loss": 0.5, "dev_nDCG@10": 0.5, "best_step": 2}),
        (5, {"step": 5, "loss": 0.2}),
    ]


def test_points_of_a_transaction_that_fails_are_written_by_the_next(stage: StageRun) -> None:
    curve = Curve(stage)
    for epoch in (1, 2):
        curve.add(epoch, {"epoch": epoch, "heldout_perplexity": 30.0 - epoch})
    with suppress(OperationalError), transaction.atomic():
        curve.flush()
        raise OperationalError("the database went away")
    assert not points(stage)
    curve.flush()
    assert [step for step, _ in points(stage)] == [1, 2]


def test_history_replaces_what_was_drawn(stage: StageRun, tmp_path: Path) -> None:
    curve = Curve(stage)
    curve.add(7, {"epoch": 7, "heldout_perplexity": 1.0})
    curve.flush()
    rows = [
        {"epoch": 0, "train_loss": None, "heldout_perplexity": 20.0},
        {"epoch": 1, "train_loss": 2.0, "heldout_perplexity": 15.0},
    ]
    write_jsonl(tmp_path / "history.jsonl", rows)
    curve.replace(tmp_path)
    assert points(stage) == [
        (0, {"epoch": 0, "heldout_perplexity": 20.0}),
        (1, {"epoch": 1, "train_loss": 2.0, "heldout_perplexity": 15.0}),
    ]


def test_long_history_is_thinned_and_keeps_every_measurement(stage: StageRun, tmp_path: Path) -> None:
    stage.stage = "train"
    rows = [{"step": step, "loss": 1.0, "dev_nDCG@10": 0.4 if step in (0, 777, 5000) else None} for step in range(5001)]
    write_jsonl(tmp_path / "history.jsonl", rows)
    Curve(stage).replace(tmp_path)
    found = points(stage)
    assert 450 < len(found) < 520
    assert [step for step, values in found if "dev_nDCG@10" in values] == [0, 777, 5000]
