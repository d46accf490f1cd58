"""What the command line shows."""

from pathlib import Path

import numpy as np
import pytest

from sptar_engine import terminal
from sptar_engine.configs import build_config
from sptar_engine.evaluation.compare import compare_arms
from sptar_engine.pipeline import StageResult
from sptar_engine.stage import Progress
from sptar_engine.steps import Step

STEP = Step("tune", "tune", build_config("tune", {}), {}, ("sptar",))


def result(reused: bool, **metrics: object) -> StageResult:
    return StageResult("tune", Path("x"), metrics, 61.25, "digest", reused)


def test_finished_step_is_one_line_with_its_sentence(capsys) -> None:
    board = terminal.Board(3)
    board.start(STEP)
    board.finish(STEP, result(False, sentence="Held-out perplexity fell."))
    board.start(STEP)
    board.finish(STEP, result(True, kept=12, share=0.123456, nested={"a": 1}))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "[1/3] tune: 61.2 s. Held-out perplexity fell."
    assert lines[1] == "[2/3] tune: from the cache. kept 12, share 0.1235"


def test_log_gets_a_line_now_and_then(capsys, monkeypatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: clock[0])
    board = terminal.Board()
    board.start(STEP)
    for second in range(0, 40, 4):
        clock[0] = float(second)
        board.show(Progress("tune", second, 40, "epoch 1", {"loss": 2.0}))
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["tune: 16/40 epoch 1 loss 2", "tune: 32/40 epoch 1 loss 2"]


def test_markup_in_a_users_text_is_shown_as_it_is(capsys) -> None:
    terminal.print_queries({"sptar": ["what is [bold]x[/bold] in a[0]", "日本語"]})
    text = capsys.readouterr().out
    assert "what is [bold]x[/bold] in a[0]" in text and "日本語" in text


@pytest.fixture
def comparison() -> dict:
    rng = np.random.default_rng(1)
    base = rng.random(50) * 0.5
    arms = {}
    for arm, values in {"bm25": base, "zero_shot": base + 0.1, "sptar": base + rng.random(50) * 0.3}.items():
        row = {f"q{number}": float(value) for number, value in enumerate(values)}
        arms[arm] = dict.fromkeys(("nDCG@10", "RR@10", "R@100", "AP"), row)
    return {"dataset": "toy", "arms": compare_arms(arms)}


def test_table_has_every_arm_its_interval_and_its_verdicts(comparison, capsys) -> None:
    terminal.print_comparison(comparison)
    text = capsys.readouterr().out
    first = comparison["arms"]["sptar"]["nDCG@10"]
    assert f"{first['mean']:.3f} ({first['low']:.3f}-{first['high']:.3f})" in text
    assert "against bm25" in text and "against zero_shot" in text and "better" in text
    assert "sptar finds better results than bm25: nDCG@10 0." in text
    assert "train.seeds_only" not in text


def test_training_that_ended_below_its_base_is_told_under_the_table(comparison, capsys) -> None:
    said = {"step": "train.sptar", "kept_untrained": True, "trained_below_untrained": True, "sentence": "Kept it."}
    comparison["arms"]["sptar"]["training"] = [said]
    terminal.print_comparison(comparison)
    assert "train.sptar: Kept it." in capsys.readouterr().out


def test_table_without_a_baseline_has_no_column_for_it(comparison, capsys) -> None:
    arms = {"sptar": {**comparison["arms"]["sptar"], "versus": {}}}
    terminal.print_comparison({"dataset": "toy", "arms": arms})
    assert "against" not in capsys.readouterr().out
