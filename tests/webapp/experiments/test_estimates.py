from __future__ import annotations

from collections.abc import Callable

import pytest

from sptar_engine.configs import build_config
from sptar_engine.experiment import plan
from webapp.models import Experiment, StageRun, State
from webapp.selectors import estimates
from webapp.selectors.estimates import RANGE, estimate, read_speeds, units
from webapp.selectors.models import ModelChoice

COUNTS = {"documents": 1000, "train": 20, "dev": 10, "test": 20, "train_pairs": 40}
MODELS = {
    "smollm2-135m-instruct": ModelChoice("smollm2-135m-instruct", "language_model", "", "", 270_000_000, 270_000_000),
    "all-minilm-l6-v2": ModelChoice("all-minilm-l6-v2", "encoder", "", "", 90_000_000, 90_000_000),
}


@pytest.mark.parametrize(
    ("stage", "options", "metrics", "expected"),
    [
        ("prepare", {}, {}, 1000),
        ("tune", {"epochs": 3}, {}, 3 * 3 * 20 + 5 * 10),
        ("tune", {"epochs": 100}, {"epochs_run": 4}, 3 * 4 * 20 + 6 * 10),
        ("select", {"candidates": 4}, {}, 4 * 10),
        ("generate", {"documents": 150}, {}, 150),
        ("generate", {"documents": 5000}, {}, 1000),
        ("generate", {"documents": 5000}, {"documents": 900}, 900),
        ("filter", {}, {"total": 70}, 70),
        # 3 · (40 + 60) pairs · 2 epochs, and (10 + 500) documents in 1 + 2 evaluations and one mixture
        ("train", {"epochs": 2, "evaluations": 2, "dev_pool": 500}, {"seed_pairs": 40, "weak_pairs": 60}, 2640),
        ("train", {"epochs": 1, "evaluations": 1, "dev_pool": 0}, {}, 3 * 40 + 1010 * 3),
        ("evaluate", {}, {}, 1000),
        ("package", {}, {}, 1),
    ],
)
def test_units_of_work(stage: str, options: dict[str, int], metrics: dict[str, int], expected: float) -> None:
    assert units(stage, build_config(stage, options).as_dict(), COUNTS, metrics=metrics) == expected


@pytest.mark.parametrize(
    ("teacher", "model"),
    [("hybrid", "all-minilm-l6-v2"), ("likelihood", "smollm2-135m-instruct"), ("cross_encoder", ""), ("self", "")],
)
def test_a_teacher_is_as_slow_as_the_model_that_teaches(teacher: str, model: str) -> None:
    assert estimates.model_of(build_config("teach", {"teacher": teacher}).as_dict()) == model


def test_a_plan_without_history_takes_the_measured_figures(db: None) -> None:
    steps = plan(["bm25", "zero_shot"], {})
    found = estimate(steps, COUNTS, 1_000_000, MODELS)
    # Three stages of 4 seconds to begin, and per document 0.0005 + 0.0016 + 0.02 seconds.
    assert found.low == pytest.approx((12 + 22.1) * RANGE[0])
    assert found.high == pytest.approx((12 + 22.1) * RANGE[1])
    assert found.rough


def finish(experiment: Experiment, step_id: str, seconds: float, **fields: object) -> None:
    rows = StageRun.objects.filter(experiment=experiment, step_id=step_id)
    rows.update(state=State.DONE, seconds=seconds, **fields)


def test_history_gives_the_median_per_unit(make_experiment: Callable[..., Experiment]) -> None:
    for seconds in (4, 8, 40):  # 40 documents each: 0.1, 0.2 and 1 second for one
        finish(make_experiment(), "evaluate.zero_shot", seconds)
    reused = make_experiment()
    finish(reused, "evaluate.zero_shot", 4000, reused=True)
    speeds = read_speeds()
    assert speeds.of("evaluate.dense", "all-minilm-l6-v2", 1.0) == (pytest.approx(0.2), True)
    assert speeds.of("evaluate.bm25", "", 1.0) == (estimates.MEASURED["evaluate.bm25"], False)


def test_only_the_newest_of_a_kind_count(make_experiment: Callable[..., Experiment]) -> None:
    for seconds in [4000] * 5 + [4] * 9:
        finish(make_experiment(), "evaluate.bm25", seconds)
    assert read_speeds().of("evaluate.bm25", "", 1.0) == (pytest.approx(0.1), True)


def test_all_stages_with_history_are_not_rough(make_experiment: Callable[..., Experiment]) -> None:
    experiment = make_experiment(arms=["bm25", "zero_shot"])
    for step_id, seconds in (("prepare", 40), ("evaluate.bm25", 80), ("evaluate.zero_shot", 120)):
        finish(experiment, step_id, seconds)
    found = estimate(plan(["bm25", "zero_shot"], {}), COUNTS, 0, MODELS)
    assert not found.rough
    assert found.by_stage == {"prepare": pytest.approx(1004), "evaluate": pytest.approx(2000 + 3000 + 8)}


def test_a_larger_model_without_history_takes_longer_and_more_memory(db: None) -> None:
    small = estimate(plan(["zero_shot"], {}), COUNTS, 0, MODELS)
    large = {"all-minilm-l6-v2": ModelChoice("all-minilm-l6-v2", "encoder", "", "", 900_000_000, 90_000_000)}
    big = estimate(plan(["zero_shot"], {}), COUNTS, 0, large)
    assert big.by_stage["evaluate"] == pytest.approx(4 + 0.2 * 1000)
    assert big.memory.needed - small.memory.needed == 2 * 810_000_000


def test_each_training_needs_room_for_its_model(db: None) -> None:
    one = estimate(plan(["seeds_only"], {}), COUNTS, 0, MODELS).disk.needed
    three = estimate(plan(["seeds_only"], {}, seeds=3), COUNTS, 0, MODELS).disk.needed
    assert three - one == 2 * 90_000_000
