"""Settings: bounds, types and the nearest name, the same for every stage."""

import ast
import dataclasses
from pathlib import Path

import pytest

import sptar_engine
from sptar_engine.arms import ARMS
from sptar_engine.configs import CONFIGS, build_config, parse_overrides
from sptar_engine.errors import ConfigError
from sptar_engine.experiment import merge, plan
from sptar_engine.presets import PRESETS
from sptar_engine.registry import STAGES

ENGINE = Path(sptar_engine.__file__).parent
READ = frozenset(
    node.attr
    for path in ENGINE.rglob("*.py")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    if isinstance(node, ast.Attribute)
)
"""Names that some module takes from something, settings among them."""

FIELDS = [(stage, field) for stage, config in CONFIGS.items() for field in dataclasses.fields(config)]


@pytest.mark.parametrize(("stage", "field"), FIELDS, ids=lambda value: getattr(value, "name", value))
def test_field_has_default_help_and_bounds_or_choices(stage, field) -> None:
    assert field.default is not dataclasses.MISSING
    assert field.metadata["help"] and not field.metadata["help"].endswith(".")
    if field.type in ("int", "float"):
        assert field.metadata["low"] <= field.default <= field.metadata["high"]


@pytest.mark.parametrize(("stage", "field"), FIELDS, ids=lambda value: getattr(value, "name", value))
def test_text_of_the_default_reads_as_the_default(stage, field) -> None:
    assert getattr(build_config(stage, {field.name: str(field.default)}), field.name) == field.default


@pytest.mark.parametrize(("stage", "field"), [(s, f) for s, f in FIELDS if f.metadata["low"] is not None])
def test_value_below_and_above_the_bounds_is_refused(stage, field) -> None:
    for value in (field.metadata["low"] - 1, field.metadata["high"] + 1):
        typed = int(value) if field.type == "int" else float(value)
        with pytest.raises(ConfigError, match=rf"^{stage}\.{field.name}: .*allowed is"):
            build_config(stage, {field.name: typed})


@pytest.mark.parametrize("stage", list(STAGES))
def test_every_stage_has_settings_and_they_survive_json(stage) -> None:
    config = build_config(stage, {})
    assert stage == config.STAGE
    assert build_config(stage, config.as_dict()) == config


@pytest.mark.parametrize(("stage", "field"), FIELDS, ids=lambda value: getattr(value, "name", value))
def test_every_option_is_read_by_some_module_of_the_engine(stage, field) -> None:
    assert field.name in READ, f"{stage}.{field.name} is offered and read nowhere"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("tune.epoch=3", "tune.epoch: unknown option of tune; the nearest is 'epochs'"),
        ("tunes.epochs=3", "tunes.epochs: unknown stage; the nearest is 'tune'"),
        ("tune.epochs=three", "tune.epochs: 'three' is not a whole number"),
        ("tune.epochs=1.5", "tune.epochs: '1.5' is not a whole number"),
        ("tune.learning_rate=nan", "tune.learning_rate: nan is not a finite number"),
        ("tune.method=lora", "'lora' is not one of prompt_tuning, prefix_tuning, p_tuning"),
        ("filter.top_k=0", "filter.top_k: 0 is out of range; allowed is 1 to 100"),
        ("filter.top_k", "an option is written STAGE.FIELD=VALUE"),
        ("top_k=3", "an option is written STAGE.FIELD=VALUE"),
    ],
)
def test_wrong_override_is_said_in_one_sentence(words, message) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_overrides([words])
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["generate.queries=3"], "generate.queries"),
        (["filter.top_k=90", "filter.depth=50"], "filter.top_k"),
        (["package.name=my model"], "package.name"),
        (["train.mixes=0.5,2"], "train.mixes"),
        (["train.matryoshka=192²"], "train.matryoshka"),
    ],
)
def test_settings_that_do_not_go_together_are_refused_before_anything_runs(words, option) -> None:
    with pytest.raises(ConfigError, match=rf"^{option}: "):
        parse_overrides(words)


def test_type_mismatch_from_python_is_refused() -> None:
    with pytest.raises(ConfigError, match="not of type int"):
        build_config("tune", {"epochs": True})


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.name)
def test_preset_names_only_options_that_exist(preset) -> None:
    assert plan(tuple(ARMS), merge(preset.settings))
