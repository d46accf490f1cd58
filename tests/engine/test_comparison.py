"""The comparison of a grid: cells, the family chosen on dev, seeds, costs, and what is not there yet."""

import statistics

import pytest

from sptar_engine import comparison, workspace
from sptar_engine.errors import InputError
from tests.engine.finished_grid import write_experiment

GRID = {
    "bm25": 0.30, "zero_shot": 0.31, "zero_shot/hybrid": 0.32, "seeds_only": 0.33, "sptar": 0.35,
    "seeds_only/hybrid": 0.34, "sptar/hybrid": 0.36,
}  # fmt: skip


def test_every_cell_stands_against_every_other_with_measures_and_verdicts(tmp_path) -> None:
    write_experiment(tmp_path, GRID)
    found = workspace.compare(tmp_path)
    assert found["dataset"] == "toy" and list(found["arms"]) == list(GRID)
    assert found["missing"] == [] and found["notes"] == []
    against = found["arms"]["sptar/hybrid"]["versus"]
    assert set(against) == set(GRID) - {"sptar/hybrid"}
    assert against["zero_shot/hybrid"]["difference"] == pytest.approx(0.04)
    assert against["zero_shot/hybrid"]["verdict"] == "better"
    assert "switches" not in found and "prompts" not in found


def test_family_is_chosen_by_the_dev_scores_of_training_and_fusion_and_never_by_test(tmp_path) -> None:
    cells = {"zero_shot": 0.3, "sptar": 0.9, "sptar/late_interaction": 0.1, "sptar/hybrid": 0.2}
    dev = {"sptar": 0.50, "sptar/late_interaction": 0.53, "sptar/hybrid": 0.50}
    write_experiment(tmp_path, cells, dev=dev)
    families = workspace.compare(tmp_path)["families"]
    assert families == {
        "sptar": {
            "chosen": "late_interaction",
            "dev": {"bi_encoder": 0.5, "late_interaction": 0.53, "hybrid": pytest.approx(0.51)},
        }
    }


def test_of_equal_dev_scores_the_first_family_is_chosen(tmp_path) -> None:
    write_experiment(tmp_path, {"sptar/cross_encoder": 0.3, "sptar": 0.3})
    assert workspace.compare(tmp_path)["families"]["sptar"]["chosen"] == "bi_encoder"


def test_variants_take_no_part_in_the_choice_of_a_family(tmp_path) -> None:
    write_experiment(tmp_path, {"sptar": 0.3, "sptar/hybrid:equal_pairs": 0.4}, dev={"sptar/hybrid:equal_pairs": 0.9})
    assert workspace.compare(tmp_path)["families"]["sptar"]["dev"] == {"bi_encoder": 0.5}


def test_cells_that_are_not_evaluated_are_named_as_missing_and_the_others_compared(tmp_path) -> None:
    write_experiment(tmp_path, {"bm25": 0.3, "sptar": 0.4}, missing=["sptar/cross_encoder", "inpars/cross_encoder"])
    found = workspace.compare(tmp_path)
    assert found["missing"] == ["sptar/cross_encoder", "inpars/cross_encoder"]
    assert list(found["arms"]) == ["bm25", "sptar"]


def test_experiment_without_an_evaluated_arm_says_so(tmp_path) -> None:
    write_experiment(tmp_path, {}, missing=["sptar"])
    with pytest.raises(InputError, match=r"No arm of .* is evaluated yet"):
        workspace.compare(tmp_path)


def test_several_seeds_give_their_means_and_the_spread_and_are_averaged_per_query(tmp_path) -> None:
    write_experiment(tmp_path, {"bm25": 0.3, "sptar": [0.40, 0.41, 0.45]})
    arms = workspace.compare(tmp_path)["arms"]
    seeds = arms["sptar"]["seeds"]
    assert seeds["count"] == 3
    middle = -0.5 / 400  # the made-up queries lie so far below their mean
    assert seeds["nDCG@10"] == pytest.approx([0.40 + middle, 0.41 + middle, 0.45 + middle])
    assert seeds["spread"] == pytest.approx(statistics.stdev([0.40, 0.41, 0.45]))
    assert arms["sptar"]["nDCG@10"]["mean"] == pytest.approx(0.42 + middle)
    assert [one["step"] for one in arms["sptar"]["training"]] == ["train.sptar", "train.sptar.2", "train.sptar.3"]
    assert "seeds" not in arms["bm25"] and "training" not in arms["bm25"]


def test_cost_of_a_cell_is_that_of_all_steps_it_hangs_on_each_once(tmp_path) -> None:
    write_experiment(tmp_path, GRID)
    arms = workspace.compare(tmp_path)["arms"]
    assert (arms["bm25"]["seconds"], arms["bm25"]["peak_mib"]) == (1 + 2, 600)
    # prepare 1, select 10, filter 5, train 100, fuse 3, evaluate 2; the largest is the training.
    assert (arms["sptar/hybrid"]["seconds"], arms["sptar/hybrid"]["peak_mib"]) == (121, 900)


def test_training_that_ended_below_its_base_is_told(tmp_path) -> None:
    write_experiment(tmp_path, {"sptar": 0.3}, dev={"sptar": 0.35})
    (told,) = workspace.compare(tmp_path)["arms"]["sptar"]["training"]
    assert told == {
        "step": "train.sptar", "weak_pairs": 90, "kept_untrained": True, "trained_below_untrained": True,
        "sentence": "Dev 0.35.",
    }  # fmt: skip


def test_late_interaction_that_kept_the_untrained_model_is_not_better_than_the_untrained_bi_encoder(tmp_path) -> None:
    cells = {"bm25": 0.2, "zero_shot": 0.3, "sptar/late_interaction": 0.4, "inpars/late_interaction": 0.4}
    write_experiment(tmp_path, cells, dev={"sptar/late_interaction": 0.4})
    arms = workspace.compare(tmp_path)["arms"]
    against = arms["sptar/late_interaction"]["versus"]
    assert against["zero_shot"]["verdict"] == "cannot tell" and against["zero_shot"]["p"] < 0.05
    assert against["bm25"]["verdict"] == "better"
    assert arms["zero_shot"]["versus"]["sptar/late_interaction"]["verdict"] == "cannot tell"
    assert arms["inpars/late_interaction"]["versus"]["zero_shot"]["verdict"] == "better"


def test_teacher_that_does_not_teach_is_told(tmp_path) -> None:
    write_experiment(tmp_path, {"sptar": 0.3})
    experiment = workspace.load(tmp_path)
    metrics = {"teaches": False, "sentence": "The teacher is not better than BM25."}
    experiment["steps"].append({"step": "teach.sptar", "stage": "teach", "arms": ["sptar"], "metrics": metrics})
    assert comparison.compare(experiment, tmp_path)["notes"] == ["teach.sptar: The teacher is not better than BM25."]


def test_training_without_any_kept_query_is_told(tmp_path) -> None:
    write_experiment(tmp_path, {"seeds_only": 0.3, "inpars": 0.3, "sptar": 0.3})
    experiment = workspace.load(tmp_path)
    for row in experiment["steps"]:
        if row["step"] in ("train.seeds_only", "train.sptar"):
            row["metrics"]["weak_pairs"] = 0
    told = ["train.sptar: no weak query was kept, so it learned from the labelled pairs alone."]
    assert comparison.compare(experiment, tmp_path)["notes"] == told
    experiment["steps"][-2]["metrics"]["edited_pairs"] = 1  # a person's
    assert experiment["steps"][-2]["step"] == "train.sptar"
    assert comparison.compare(experiment, tmp_path)["notes"] == []
