"""What the command line prints at the end."""

from pathlib import Path
from typing import Any

import pytest

from sptar_engine import tables, workspace
from sptar_engine.artifacts import write_json
from tests.engine.finished_grid import write_experiment

ARMS = {"bm25": 0.20, "zero_shot": 0.30, "sptar": 0.40}
GRID = {
    **ARMS, "zero_shot/hybrid": 0.32, "sptar/late_interaction": 0.38, "sptar/hybrid": 0.42,
}  # fmt: skip


@pytest.fixture
def shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Return `shown(cells, **more)`: the printed comparison of an experiment with these cells."""

    def show(cells: dict[str, Any], **more: Any) -> str:
        write_experiment(tmp_path, cells, **more)
        tables.print_comparison(workspace.compare(tmp_path))
        return capsys.readouterr().out

    return show


def test_markup_in_a_users_text_is_shown_as_it_is(capsys) -> None:
    tables.print_queries({"sptar": ["what is [bold]x[/bold] in a[0]", "日本語"]})
    text = capsys.readouterr().out
    assert "what is [bold]x[/bold] in a[0]" in text and "日本語" in text


def test_table_has_every_arm_its_interval_its_verdicts_and_its_costs(shown) -> None:
    text = shown(ARMS)
    row = next(line for line in text.splitlines() if line.startswith("│ sptar "))
    assert "0.399 (0.390-0.408)" in row and row.count("better") == 2
    assert "0:01:58" in row and "900 MiB" in row
    assert "against bm25" in text and "against zero_shot" in text
    assert "sptar finds better results than bm25: nDCG@10 0.399 against 0.199" in text
    assert "bi_encoder" not in text and "Not measured yet" not in text


def test_grid_has_arms_in_rows_and_families_in_columns_with_verdicts_against_the_same_family_untrained(shown) -> None:
    text = shown(GRID)
    grid = text[: text.index("Arms on toy")].splitlines()
    head = next(line for line in grid if "late_interaction" in line)
    assert head.index("bi_encoder") < head.index("late_interaction") < head.index("hybrid")
    place = next(number for number, line in enumerate(grid) if line.startswith("│ sptar "))
    assert "0.399 (" in grid[place] and "0.379 (" in grid[place] and "0.419 (" in grid[place]
    # The hybrid gains 0.100 on the untrained hybrid, the bi-encoder as much on the untrained bi-encoder.
    assert grid[place + 1].count("+0.100 (") == 2 and grid[place + 1].count("+0.080 (") == 1


def test_a_line_says_which_family_was_chosen_on_dev_and_how_it_stands_against_the_same_family(shown) -> None:
    cells = {**GRID, "seeds_only": 0.39, "seeds_only/hybrid": 0.41, "inpars/hybrid": 0.43}
    text = shown(cells, dev={"sptar/hybrid": 0.6})
    line = next(line for line in text.splitlines() if line.startswith("sptar: hybrid did best"))
    assert "(nDCG@10 bi_encoder 0.500, late_interaction 0.500, hybrid 0.610)" in line
    assert "against zero_shot/hybrid +0.100 (" in line and "against seeds_only/hybrid +0.010 (" in line
    assert "against inpars/hybrid -0.010 (" in line and "worse" in line
    assert "sptar/hybrid finds better results than zero_shot/hybrid" in text


def test_cells_without_an_evaluation_are_named_as_missing(shown) -> None:
    text = shown(ARMS, missing=["sptar/cross_encoder"])
    assert "missing" in text[: text.index("Arms on toy")]
    assert "Not measured yet: sptar/cross_encoder. Start the experiment again to go on." in text


def test_several_trainings_show_their_spread(shown) -> None:
    assert "±0.020 of 3" in shown({**ARMS, "sptar": [0.38, 0.40, 0.42]})


def test_training_that_ended_below_its_base_is_told_under_the_table(shown) -> None:
    assert "train.sptar: Dev 0.35." in shown(ARMS, dev={"sptar": 0.35})


def test_untrained_model_of_another_family_is_called_better_nowhere_but_against_bm25(shown) -> None:
    cells = {"bm25": 0.20, "zero_shot": 0.30, "sptar/late_interaction": 0.40}
    text = shown(cells, dev={"sptar/late_interaction": 0.4})
    grid = text[: text.index("Arms on toy")]
    assert "+0.100 (" in grid and "better" not in grid
    row = next(line for line in text.splitlines() if line.startswith("│ sptar/late_interaction "))
    assert row.count("better") == 1 and "cannot tell" in row
    assert "sptar/late_interaction against zero_shot: kept the untrained model: not better (nDCG@10 0.399" in text
    assert "sptar/late_interaction finds better results than bm25" in text


def test_table_without_a_baseline_has_no_column_for_it(shown) -> None:
    assert "against" not in shown({"sptar": 0.4})


def test_arms_at_equal_pairs_are_told_with_their_number(shown) -> None:
    text = shown({**ARMS, "inpars": 0.4, "inpars:equal_pairs": 0.37, "sptar:equal_pairs": 0.39})
    assert "sptar:equal_pairs: 90 weak pairs, nDCG@10 0.389; against inpars:equal_pairs +0.020 (" in text


def test_switches_are_a_table_of_what_each_is_worth(shown) -> None:
    text = shown({**ARMS, "inpars": 0.37, "sptar:without_filter": 0.41}, missing=["sptar:with_negatives"])
    rows = text[text.index("What each part is worth") :].splitlines()
    (filtered,) = (line for line in rows if line.startswith("│ filter"))
    assert "-0.010 (" in filtered and "worse" in filtered
    (soft,) = (line for line in rows if line.startswith("│ soft_prompt"))
    assert "+0.030 (" in soft and "inpars" in soft
    (negatives,) = (line for line in rows if line.startswith("│ negatives"))
    assert "missing" in negatives


def test_prompts_are_a_table_by_perplexity_with_what_the_data_says(shown) -> None:
    cells = {"sptar": 0.40} | {f"sptar:prompt_{place}": 0.40 - place / 100 for place in (3, 5, 7, 9, 12)}
    text = shown(cells)
    rows = text[text.index("Prompts by held-out perplexity") :].splitlines()
    names = [line.split()[1] for line in rows if line.startswith("│ sptar")]
    assert names == list(cells)
    assert "correlation of nDCG@10 with the prompt's perplexity over 6 prompts is -1.00 (p 0.003)" in text
    assert "with the number of queries kept over 6 prompts is +1.00" in text


def test_too_few_prompts_say_so(shown) -> None:
    assert "too few prompts" in shown({"sptar": 0.4, "sptar:prompt_12": 0.3})


def test_comparison_of_an_earlier_version_without_costs_is_shown(shown, tmp_path, capsys) -> None:
    shown(ARMS)
    comparison = workspace.compare(tmp_path)
    for row in comparison["arms"].values():
        del row["seconds"], row["peak_mib"]
    tables.print_comparison({"dataset": "toy", "arms": comparison["arms"]})
    assert "memory" not in capsys.readouterr().out


def test_training_that_did_not_help_is_told_once_although_a_hybrid_hangs_on_it(tmp_path, capsys) -> None:
    write_experiment(
        tmp_path, {"zero_shot": 0.3, "seeds_only": 0.3, "seeds_only/hybrid": 0.35}, dev={"seeds_only": 0.4}
    )
    experiment = workspace.load(tmp_path)
    for step in experiment["steps"]:
        step["inputs"] = {role: source.replace("train.seeds_only/hybrid", "train.seeds_only")
                          for role, source in step["inputs"].items()}  # fmt: skip
    experiment["steps"] = [step for step in experiment["steps"] if step["step"] != "train.seeds_only/hybrid"]
    write_json(tmp_path / workspace.EXPERIMENT, experiment)
    tables.print_comparison(workspace.compare(tmp_path))
    assert capsys.readouterr().out.count("train.seeds_only: Dev 0.4.") == 1
