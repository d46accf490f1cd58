from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from sptar_engine.configs import CONFIGS
from sptar_engine.presets import PRESETS
from webapp.forms.experiments import USUAL_ARMS, ExperimentForm, choices_of, first_choices
from webapp.forms.options import options
from webapp.models import Experiment

LLM, BASE = "smollm2-135m-instruct", "all-minilm-l6-v2"


def make_form(**changes: Any) -> ExperimentForm:
    data = {**first_choices(is_first=True), "llm": LLM, "base": BASE, "after": 0, **changes}
    menus = {"language_models": [(LLM, LLM), ("bigger", "bigger")], "encoders": [(BASE, BASE)]}
    return ExperimentForm(data, **menus)


def test_the_first_choices_make_a_plan() -> None:
    form = make_form()
    assert form.is_valid(), form.errors
    assert form.settings == PRESETS["fast"].settings
    assert len(form.steps) == 20


def test_baselines_always_take_part() -> None:
    form = make_form(arms=[])
    assert form.is_valid()
    assert [step.step_id for step in form.steps] == ["prepare", "evaluate.bm25", "evaluate.zero_shot"]


def test_the_chosen_language_model_is_used_everywhere() -> None:
    form = make_form(llm="bigger")
    assert form.is_valid()
    configs = [step.config.as_dict() for step in form.steps]
    assert {config["model"] for config in configs if "model" in config} == {"bigger"}
    assert form.settings["package"] == {"language_model": "bigger"}


def test_a_model_that_is_not_on_the_list_is_refused() -> None:
    form = make_form(llm="../../etc/passwd")
    assert "llm" in form.errors


@pytest.mark.parametrize("seeds", [0, 6, "many", ""])
def test_repeats_are_one_to_five(seeds: object) -> None:
    assert "seeds" in make_form(seeds=seeds).errors


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("filter-top_k", "0", "out of range; allowed is 1 to 100"),
        ("filter-top_k", "many", "is not a whole number"),
        ("tune-learning_rate", "nan", "not a finite number"),
        ("train-mixes", "a,b", "not a list of numbers"),
        ("generate-queries", "3", "generate.decoding=sample"),
        ("package-name", "../up", "letters, digits"),
        ("tune-method", "magic", "magic"),
    ],
)
def test_an_engines_error_stands_at_its_field(field: str, value: str, words: str) -> None:
    form = make_form(**{field: value})
    assert not form.is_valid()
    assert words in " ".join(form.errors[field])
    assert form.has_advanced_choice


def test_every_wrong_option_gets_its_sentence() -> None:
    form = make_form(**{"filter-top_k": "0", "filter-k1": "-1", "tune-epochs": "0"})
    assert set(form.errors) == {"filter-top_k", "filter-k1", "tune-epochs"}


def test_an_option_wins_over_the_preset_even_with_its_default() -> None:
    form = make_form(**{"tune-epochs": "8", "filter-top_k": "10"})
    assert form.is_valid()
    assert form.settings["tune"]["epochs"] == 8
    assert form.settings["filter"] == {"top_k": 10}


def test_a_default_that_somebody_chose_lies_over_an_arms_own_setting() -> None:
    form = make_form(
        arms=["inpars", "promptagator"], **{"filter-method": "bm25", "filter-top_k": "30", "select-examples": "1"}
    )
    assert form.is_valid(), form.errors
    assert form.settings["filter"] == {"method": "bm25", "top_k": 30}
    configs = {step.step_id: step.config.as_dict() for step in form.steps}
    for arm in ("inpars", "promptagator"):
        assert (configs[f"filter.{arm}"]["method"], configs[f"filter.{arm}"]["top_k"]) == ("bm25", 30)
        assert configs[f"select.{arm}"]["examples"] == 1
    untouched = make_form(arms=["promptagator"])
    assert untouched.is_valid() and "filter" not in untouched.settings
    assert {step.step_id: step.config.as_dict() for step in untouched.steps}["filter.promptagator"]["top_k"] == 1


def test_options_that_must_agree_are_set_together() -> None:
    form = make_form(**{"train-max_length": "128", "prepare-min_grade": "2"})
    assert form.is_valid(), form.errors
    assert form.settings["evaluate"] == {"max_length": 128, "min_grade": 2}


def test_every_setting_of_the_engine_is_on_the_form_or_left_out_for_a_reason() -> None:
    shown = {(option.stage, option.name) for option in options()}
    every = {(stage, spec.name) for stage, config in CONFIGS.items() for spec in dataclasses.fields(config)}
    left_out = {name for _, name in every - shown}
    assert left_out == {
        "model", "base", "language_model", "dtype", "threads", "family", "retriever", "max_length", "rerank_depth",
        "min_grade", "k1", "b", "dev_pool",
    }  # fmt: skip
    assert {
        ("train", "max_length"), ("train", "rerank_depth"), ("train", "dev_pool"), ("evaluate", "k1"),
        ("evaluate", "b"),
    } <= shown  # fmt: skip


def test_an_option_says_its_default_its_bounds_and_the_presets() -> None:
    epochs = next(option for option in options() if option.field == "tune-epochs")
    assert (epochs.default, epochs.allowed, epochs.in_presets) == (8, "1 to 1,000", "Fast 3, Paper 100")


def test_the_choices_of_an_experiment_come_back(make_experiment: Callable[..., Experiment]) -> None:
    experiment = make_experiment(seeds=3)
    experiment.settings["filter"] = {"top_k": 10}
    found = choices_of(experiment)
    assert found == {
        "preset": "fast", "arms": list(USUAL_ARMS), "families": ["bi_encoder"], "seeds": 3, "filter-top_k": 10,
    }  # fmt: skip
    assert make_form(**found).is_valid()
