"""Device, number format and threads are decided once for an experiment and kept."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sptar_engine.errors import StageError
from tests.webapp.jobs.installation import Installation
from webapp.jobs.attempt import Attempt
from webapp.jobs.machine import settle_machine
from webapp.models import Experiment, StageRun
from webapp.services import stages

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_redis", "fake_stages")]


@pytest.fixture
def made(data_dir: Path) -> Experiment:
    return Installation(data_dir, data_dir / "none.sock", "").experiment(upto="tune")


def claimed(made: Experiment) -> Attempt:
    stages.queue_ready(made)
    attempt = Attempt.claim(StageRun, made.stages.get(stage="tune").pk, 1)
    assert attempt is not None
    return attempt


def test_first_stage_decides_and_the_choice_stands_in_its_settings(made: Experiment) -> None:
    Experiment.objects.update(machine={})
    attempt = claimed(made)
    assert settle_machine(attempt) == "cpu"
    assert Experiment.objects.get().machine == {"device": "cpu", "dtype": "float32", "threads": 1}
    assert StageRun.objects.get(stage="tune").config["threads"] == 1


def test_choice_that_was_made_is_kept_and_a_persons_setting_goes_before_it(made: Experiment) -> None:
    machine = {"device": "cpu", "dtype": "bfloat16", "threads": 2}
    Experiment.objects.update(machine=machine, settings={"tune": {"dtype": "float16"}})
    StageRun.objects.filter(stage="tune").update(config={**made.stages.get(stage="tune").config, "dtype": "float16"})
    attempt = claimed(made)
    settle_machine(attempt)
    config = StageRun.objects.get(stage="tune").config
    assert (config["dtype"], config["threads"]) == ("float16", 2)
    assert Experiment.objects.get().machine == machine


def test_experiment_begun_on_a_gpu_does_not_go_on_without_one(made: Experiment) -> None:
    Experiment.objects.update(machine={"device": "cuda", "dtype": "bfloat16", "threads": 2})
    attempt = claimed(made)
    with pytest.raises(StageError, match="begun on a GPU"):
        settle_machine(attempt)
    assert "sptar_engine.runtime" in sys.modules
