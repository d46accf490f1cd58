"""Arms and families, arms at equal numbers of pairs, switches and prompts, on a toy dataset with tiny random models."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from sptar_engine import ablation, workspace
from sptar_engine.cli import main
from tests.end_to_end.conftest import Workshop

FAMILIES = "bi_encoder,late_interaction,cross_encoder,hybrid"
ARMS = "bm25,zero_shot,inpars,sptar"
TAUGHT = ("--set", "train.negatives=2", "--set", "teach.teacher=cross_encoder")


@pytest.fixture(scope="module")
def grid(workshop: Workshop) -> Path:
    out = workshop.root / "grid"
    assert workshop.experiment(out, "--families", FAMILIES, "--equal-pairs", *TAUGHT, arms=ARMS) == 0
    return out


@pytest.fixture
def copy(grid: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(grid, tmp_path / "copy"))


def compared(out: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["compare", str(out), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_every_cell_is_compared_and_a_family_is_chosen_on_dev_for_each_arm(grid, capsys) -> None:
    found = compared(grid, capsys)
    families = FAMILIES.split(",")
    own = [name for name in found["arms"] if ":" not in name]
    assert own[:3] == ["bm25", "zero_shot", "zero_shot/hybrid"]
    assert set(own[3:]) == {arm if f == "bi_encoder" else f"{arm}/{f}" for arm in ("inpars", "sptar") for f in families}
    assert found["missing"] == []
    for arm in ("inpars", "sptar"):
        chosen = found["families"][arm]
        assert list(chosen["dev"]) == families
        assert chosen["dev"][chosen["chosen"]] == max(chosen["dev"].values())
    for row in found["arms"].values():
        assert row["seconds"] > 0 and row["peak_mib"] > 0


def test_arms_at_equal_pairs_have_cells_of_their_own_with_the_same_number(grid) -> None:
    rows = {row["step"]: row for row in workspace.load(grid)["steps"]}
    kept = [rows[f"filter.{arm}"]["metrics"]["kept"] for arm in ("inpars", "sptar")]
    limits = [rows[f"train.{arm}:equal_pairs"]["config"]["weak_limit"] for arm in ("inpars", "sptar")]
    assert [limit or own for limit, own in zip(limits, kept, strict=True)] == [min(kept)] * 2
    # The arm that has the fewest anyway finds its own training again.
    fewest = ("inpars", "sptar")[kept.index(min(kept))]
    assert rows[f"train.{fewest}:equal_pairs"]["folder"] == rows[f"train.{fewest}"]["folder"]


def test_table_shows_arms_and_families(grid, capsys) -> None:
    assert main(["compare", str(grid)]) == 0
    text = capsys.readouterr().out
    assert "late_interaction" in text and "did best on the held-out queries" in text
    assert "sptar:equal_pairs: " in text


def test_each_trained_family_is_packed(grid) -> None:
    packed = {row["step"] for row in workspace.load(grid)["steps"] if row["stage"] == "package"}
    assert packed == {"package.sptar", "package.sptar/late_interaction", "package.sptar/cross_encoder"}


def test_started_again_it_takes_every_cell_from_the_cache(workshop, copy, stages_run) -> None:
    assert workshop.experiment(copy, "--families", FAMILIES, "--equal-pairs", *TAUGHT, arms=ARMS) == 0
    assert stages_run == []


def test_fewer_families_and_arms_find_their_cells_in_the_cache(workshop, copy, stages_run, capsys) -> None:
    assert workshop.experiment(copy, "--families", "late_interaction", *TAUGHT, arms="zero_shot,sptar") == 0
    assert stages_run == []
    assert list(compared(copy, capsys)["arms"]) == ["zero_shot", "sptar/late_interaction"]


def test_grid_that_is_not_finished_is_compared_and_names_what_is_missing(workshop, copy, capsys, monkeypatch) -> None:
    from sptar_engine import experiment

    run_stage = experiment.run_stage

    def fail(config, *args, **more):
        if config.as_dict().get("retriever") == "cross_encoder":
            raise KeyboardInterrupt
        return run_stage(config, *args, **more)

    monkeypatch.setattr(experiment, "run_stage", fail)
    assert workshop.experiment(copy, "--families", FAMILIES, *TAUGHT, arms=ARMS) == 130
    found = compared(copy, capsys)
    assert "inpars/cross_encoder" in found["missing"] and "sptar/hybrid" in found["missing"]
    assert "sptar/late_interaction" in found["arms"]
    assert main(["compare", str(copy)]) == 0
    assert "Not measured yet: " in capsys.readouterr().out


def test_ablation_switches_one_thing_at_a_time_and_shares_the_cache(workshop, copy, stages_run, capsys) -> None:
    before = (copy / "experiment.json").read_bytes()
    words = workshop.words("ablate", copy, "--switches", "soft_prompt,filter,negatives,interpolation", *TAUGHT)
    assert main(words) == 0
    assert "What each part is worth" in capsys.readouterr().out
    assert not {"prepare", "tune", "select", "generate", "mine"} & set(stages_run[:1])
    found = compared(copy / "ablation", capsys)
    assert [row["switch"] for row in found["switches"]] == ["soft_prompt", "filter", "negatives", "interpolation"]
    assert all(row["worth"]["low"] <= row["worth"]["difference"] <= row["worth"]["high"] for row in found["switches"])
    assert (copy / "experiment.json").read_bytes() == before
    stages_run.clear()
    assert main(words) == 0
    assert stages_run == []


def test_unknown_switch_is_refused(workshop, tmp_path, capsys) -> None:
    assert main(workshop.words("ablate", tmp_path / "out", "--switches", "luck")) == 2
    assert f"choose from {', '.join(ablation.NAMES)}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_prompts_of_different_perplexity_are_compared(workshop, copy, stages_run, capsys) -> None:
    assert main(workshop.words("prompts", copy, "--prompts", "3", "--set", "select.candidates=4", *TAUGHT)) == 0
    text = capsys.readouterr().out
    assert ("Prompts by held-out perplexity" in text and "Spearman" in text) or "too few prompts" in text
    assert "tune" not in stages_run
    rows = compared(copy / "prompts", capsys)["prompts"]
    assert len(rows) == 3
    assert [row["place"] for row in rows] == [1, 3, 4]
    assert [row["perplexity"] for row in rows] == sorted(row["perplexity"] for row in rows)


def test_data_that_cannot_carry_the_plan_is_refused_within_seconds(workshop, tmp_path, capsys) -> None:
    out = tmp_path / "out"
    assert (
        workshop.experiment(out, "--set", "mine.skip=90", "--set", "mine.depth=99", "--set", "train.negatives=2") == 2
    )
    assert "mine.skip: 90 passes over everything that can be mined in 60 documents" in capsys.readouterr().err
    assert [path.name.partition("-")[0] for path in out.glob("stages/*")] == ["prepare"]


def test_shorter_vectors_that_are_too_long_are_refused_before_anything_is_written(workshop, tmp_path, capsys) -> None:
    assert workshop.experiment(tmp_path / "out", "--set", "train.matryoshka=32") == 2
    assert "train.matryoshka: 32 is too much for the base; fewer than its 32 dimensions" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
