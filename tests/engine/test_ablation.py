"""One switch at a time: what is on is switched off, what is off is switched on, and the worth is with minus without."""

import pytest

from sptar_engine import ablation, workspace
from sptar_engine.artifacts import write_json
from sptar_engine.errors import ConfigError
from sptar_engine.experiment import merge, plan
from sptar_engine.presets import PRESETS
from tests.engine.finished_grid import write_experiment


def test_what_the_settings_have_is_left_out_and_what_they_lack_is_added() -> None:
    plain = merge({"train": {"negatives": 0, "mixes": "1.0"}, "teach": {"teacher": "none"}})
    names = [one.name for one in ablation.variants(ablation.NAMES, plain)]
    assert names == [
        "without_selection", "without_filter", "with_negatives", "with_distillation", "with_interpolation",
    ]  # fmt: skip
    rich = merge({"train": {"negatives": 4, "mixes": "0.5,1.0"}, "teach": {"teacher": "self"}})
    assert all(one.name.startswith("without_") for one in ablation.variants(ablation.NAMES, rich))


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.name)
def test_every_variant_of_a_preset_is_a_plan_of_its_own(preset) -> None:
    variants = ablation.variants(ablation.NAMES, preset.settings)
    steps = plan(("zero_shot", "inpars", "sptar"), preset.settings, variants=variants)
    configs = {step.step_id: step.config for step in steps}
    trained = [step for step in steps if step.stage == "train" and step.family == "bi_encoder"]
    assert {step.variant for step in trained} == {"", *(one.name for one in variants)}
    work = {(step.config, tuple(step.inputs.items())) for step in trained}
    assert len(work) == len(trained), configs


def test_worth_is_with_minus_without_whichever_of_them_is_the_preset(tmp_path) -> None:
    cells = {"inpars": 0.38, "sptar": 0.40, "sptar:without_filter": 0.35, "sptar:with_negatives": 0.43}
    write_experiment(tmp_path, cells, missing=["sptar:with_distillation"])
    rows = {row["switch"]: row for row in workspace.compare(tmp_path)["switches"]}
    assert list(rows) == ["soft_prompt", "filter", "negatives", "distillation"]
    assert rows["soft_prompt"]["worth"]["difference"] == pytest.approx(0.02)
    assert rows["filter"]["worth"]["difference"] == pytest.approx(0.05)
    assert rows["negatives"]["worth"]["difference"] == pytest.approx(0.03)
    assert (rows["negatives"]["with"], rows["negatives"]["without"]) == ("sptar:with_negatives", "sptar")
    assert rows["distillation"]["worth"] is None


def test_each_family_has_its_rows(tmp_path) -> None:
    cells = {"sptar": 0.4, "sptar/hybrid": 0.41, "sptar:without_filter": 0.3, "sptar/hybrid:without_filter": 0.31}
    write_experiment(tmp_path, cells)
    rows = workspace.compare(tmp_path)["switches"]
    assert [(row["family"], row["without"]) for row in rows] == [
        ("bi_encoder", "sptar:without_filter"), ("hybrid", "sptar/hybrid:without_filter"),
    ]  # fmt: skip


def test_experiment_without_switches_has_no_rows(tmp_path) -> None:
    write_experiment(tmp_path, {"inpars": 0.3, "sptar": 0.4, "sptar:equal_pairs": 0.4})
    assert "switches" not in workspace.compare(tmp_path)


def test_switches_are_read_in_their_order_and_unknown_ones_named() -> None:
    assert ablation.parse_switches("negatives, soft_prompt") == ("soft_prompt", "negatives")
    with pytest.raises(ConfigError, match="'prompt' is not a switch"):
        ablation.parse_switches("prompt")
    with pytest.raises(ConfigError, match="at least one switch"):
        ablation.parse_switches(",")


@pytest.mark.parametrize(
    ("family", "switch"),
    [
        ("cross_encoder", "negatives"), ("cross_encoder", "interpolation"), ("sparse", "interpolation"),
        ("late_interaction", "distillation"),
    ],
)  # fmt: skip
def test_switch_that_changes_nothing_in_a_family_trains_nothing_anew(family, switch) -> None:
    settings = PRESETS["balanced"].settings
    steps = plan(("sptar",), settings, families=(family,), variants=ablation.variants((switch,), settings))
    assert len([step for step in steps if step.stage == "train"]) == 1
    assert len([step for step in steps if step.stage == "evaluate"]) == 2


def test_switch_that_changes_nothing_has_no_worth(tmp_path) -> None:
    cells = {"sptar/late_interaction": 0.4, "sptar/late_interaction:without_distillation": 0.4}
    write_experiment(tmp_path, cells)
    experiment = workspace.load(tmp_path)
    measuring = experiment["steps"][-1]
    measuring["inputs"]["train"] = "train.sptar/late_interaction"
    write_json(tmp_path / workspace.EXPERIMENT, experiment)
    (row,) = workspace.compare(tmp_path)["switches"]
    assert (row["same"], row["worth"]) == (True, None)


@pytest.mark.parametrize("mixes", ["1", "1.0", "1.00"])
def test_shares_of_weights_are_compared_as_numbers(mixes) -> None:
    (variant,) = ablation.variants(("interpolation",), {"train": {"mixes": mixes}})
    assert variant.name == "with_interpolation"
