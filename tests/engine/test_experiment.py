"""The plan of an experiment: what is shared, what is not, and in which order."""

import pytest

from sptar_engine.arms import ARMS, parse_arms
from sptar_engine.errors import ConfigError
from sptar_engine.experiment import everywhere, merge, plan
from sptar_engine.registry import STAGES


def test_all_arms_share_prepare_and_only_sptar_tunes() -> None:
    steps = {step.step_id: step for step in plan(tuple(ARMS), merge())}
    assert steps["prepare"].arms == tuple(ARMS)
    assert steps["tune"].arms == ("sptar",)
    assert "tune" in steps["select.sptar"].inputs
    assert "tune" not in steps["select.inpars"].inputs
    assert steps["select.sptar"].config == steps["select.inpars"].config
    assert "filter" not in steps["train.seeds_only"].inputs
    assert steps["evaluate.bm25"].config.as_dict()["retriever"] == "bm25"


def test_every_input_comes_from_an_earlier_step_and_is_one_the_stage_takes() -> None:
    known = {"dataset", "decisions"}
    for step in plan(tuple(ARMS), merge(), seeds=2, decisions=True):
        spec = STAGES[step.stage]
        assert set(spec.needs) <= set(step.inputs) <= {*spec.needs, *spec.takes}
        assert set(step.inputs.values()) <= known
        known.add(step.step_id)


def test_baselines_come_before_anything_slow() -> None:
    order = [step.step_id for step in plan(tuple(ARMS), merge())]
    assert order[:3] == ["prepare", "evaluate.bm25", "evaluate.zero_shot"]


def test_seeds_train_each_arm_with_consecutive_seeds() -> None:
    steps = plan(("seeds_only",), merge({"train": {"seed": 5}}), seeds=3)
    assert [step.config.as_dict()["seed"] for step in steps if step.stage == "train"] == [5, 6, 7]
    assert sum(step.stage == "evaluate" for step in steps) == 3


def test_decisions_go_only_to_arms_with_weak_queries() -> None:
    steps = plan(("seeds_only", "sptar"), merge(), decisions=True)
    with_decisions = [step.step_id for step in steps if "decisions" in step.inputs]
    assert with_decisions == ["train.sptar"]


def test_arms_are_ordered_and_unknown_ones_named() -> None:
    assert parse_arms("sptar, bm25") == ("bm25", "sptar")
    with pytest.raises(ConfigError, match="'spat' is not an arm"):
        parse_arms("spat")
    with pytest.raises(ConfigError, match="at least one arm"):
        parse_arms(" ,")


def test_later_settings_win() -> None:
    merged = merge({"tune": {"epochs": 3, "seed": 1}}, {"tune": {"epochs": 4}})
    assert merged["tune"] == {"epochs": 4, "seed": 1}


def test_a_value_everywhere_reaches_only_stages_that_have_it() -> None:
    settings = everywhere(dtype="bfloat16", threads=2)
    assert settings["tune"] == {"dtype": "bfloat16", "threads": 2}
    assert settings["train"] == {"threads": 2}
    assert settings["filter"] == {}


@pytest.mark.parametrize("settings", [{"train": {"max_length": 128}}, {"prepare": {"min_grade": 2}}])
def test_settings_that_choose_and_measure_differently_are_refused(settings) -> None:
    with pytest.raises(ConfigError, match="must be the same as evaluate"):
        plan(tuple(ARMS), merge(settings))


@pytest.mark.parametrize("settings", [{"train": {"base": "x"}}, {"tune": {"model": "x"}}])
def test_arms_with_different_models_are_refused(settings) -> None:
    with pytest.raises(ConfigError, match="one model for all stages"):
        plan(tuple(ARMS), merge(settings))
