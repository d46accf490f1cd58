"""A training at equal numbers takes no more questions than the filter with the fewest has kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sptar_engine.artifacts import read_json
from tests.webapp.jobs.installation import Installation, fresh
from webapp.jobs import runner
from webapp.models import StageRun, State
from webapp.places import experiment_folder, store_folder
from webapp.services import stages

pytestmark = pytest.mark.usefixtures("database_file", "no_redis", "fake_stages")


def test_the_fewest_kept_questions_limit_the_training_that_runs(data_dir: Path) -> None:
    made = Installation(data_dir, data_dir / "none.sock", "").experiment(
        documents=10, shard=8, arms=("inpars", "sptar"), upto="train", equal_pairs=True
    )
    StageRun.objects.filter(step_id="filter.inpars").update(metrics={"kept": 3, "total": 10})
    stages.queue_ready(made)
    while row := StageRun.objects.filter(state=State.QUEUED).order_by("position").first():
        runner.run_stage_run(row.pk, row.attempt)
    rows = {row.step_id: row for row in made.stages.filter(stage="train")}

    def limit(step_id: str) -> int:
        result = read_json(store_folder(made.project) / "stages" / rows[step_id].folder / "result.json")
        return int(result["config"]["weak_limit"])

    assert fresh(made).state == State.DONE
    assert (limit("train.sptar"), limit("train.sptar:equal_pairs")) == (0, 3)
    assert rows["train.inpars:equal_pairs"].folder == rows["train.inpars"].folder  # it has no more than the others
    told = json.loads((experiment_folder(made) / "experiment.json").read_text())
    steps = {row["step"]: row for row in told["steps"]}
    assert steps["train.sptar:equal_pairs"]["config"]["weak_limit"] == 3
    assert "sptar:equal_pairs" in told["cells"] and "sptar:equal_pairs" in fresh(made).comparison["arms"]
