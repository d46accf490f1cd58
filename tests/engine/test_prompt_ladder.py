"""Several prompts of an arm: which candidates are taken, and what is read from a finished experiment."""

import pytest

from sptar_engine import prompt_ladder, workspace
from sptar_engine.errors import ConfigError
from sptar_engine.experiment import merge, plan
from tests.engine.finished_grid import write_experiment


def test_rungs_are_spread_from_the_best_candidate_to_the_worst() -> None:
    variants = prompt_ladder.variants(("sptar",), 6, merge({"select": {"candidates": 12}}))
    assert [one.name for one in variants] == ["prompt_3", "prompt_5", "prompt_8", "prompt_10", "prompt_12"]
    assert [one.settings["select"]["take"] for one in variants] == [2, 4, 7, 9, 11]


def test_as_many_prompts_as_candidates_take_each_once() -> None:
    variants = prompt_ladder.variants(("inpars", "sptar"), 3, merge({"select": {"candidates": 3}}))
    assert [(one.arm, one.name) for one in variants] == [
        ("inpars", "prompt_2"), ("inpars", "prompt_3"), ("sptar", "prompt_2"), ("sptar", "prompt_3"),
    ]  # fmt: skip


def test_prompts_share_the_tuning_and_write_queries_of_their_own() -> None:
    variants = prompt_ladder.variants(("sptar",), 2, merge())
    steps = {step.step_id: step for step in plan(("sptar",), merge(), variants=variants)}
    assert steps["select.sptar:prompt_12"].inputs["tune"] == "tune"
    assert "tune:prompt_12" not in steps
    assert steps["generate.sptar:prompt_12"].inputs["select"] == "select.sptar:prompt_12"


@pytest.mark.parametrize("prompts", [1, 5])
def test_more_prompts_than_candidates_or_a_single_one_are_refused(prompts) -> None:
    with pytest.raises(ConfigError, match=r"--prompts: . is not from 2 to 4"):
        prompt_ladder.variants(("sptar",), prompts, merge({"select": {"candidates": 4}}))


def test_arms_without_a_prompt_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least one arm that writes queries"):
        prompt_ladder.variants(("bm25", "seeds_only"), 3, merge())


def test_rows_are_by_perplexity_and_leave_other_arms_out(tmp_path) -> None:
    write_experiment(
        tmp_path, {"zero_shot": 0.3, "inpars": 0.3, "sptar": 0.42, "sptar:prompt_9": 0.4, "sptar:prompt_4": 0.41}
    )
    rows = workspace.compare(tmp_path)["prompts"]
    assert [(row["cell"], row["place"], row["perplexity"], row["kept"]) for row in rows] == [
        ("sptar", 1, 21.0, 99), ("sptar:prompt_4", 4, 24.0, 96), ("sptar:prompt_9", 9, 29.0, 91),
    ]  # fmt: skip


def test_relation_is_within_an_arm(tmp_path) -> None:
    cells = {f"{arm}{end}": 0.3 for arm in ("inpars", "sptar") for end in ("", ":prompt_4", ":prompt_9")}
    write_experiment(tmp_path, cells)
    found = workspace.compare(tmp_path)["relations"]
    assert [(one["arm"], one["of"]) for one in found] == [
        ("inpars", "perplexity"), ("inpars", "kept"), ("sptar", "perplexity"), ("sptar", "kept"),
    ]  # fmt: skip


def test_place_that_somebody_chose_is_refused() -> None:
    with pytest.raises(ConfigError, match="one after the other"):
        prompt_ladder.variants(("sptar",), 3, merge({"select": {"take": 2}}))
