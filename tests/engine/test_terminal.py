"""What the command line shows while it works."""

from pathlib import Path

from sptar_engine import terminal
from sptar_engine.configs import build_config
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
