"""The command line's manners: exit codes, one sentence, nothing written."""

import pytest

from sptar_engine import cli
from sptar_engine.errors import Cancelled, ConfigError, InputError, StageError


def run(*words: str) -> int:
    """Exit code, whether returned or raised by argparse."""
    try:
        return cli.main(words)
    except SystemExit as end:
        return int(end.code or 0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["experiment", "{tmp}/none", "--out", "{tmp}/o"], "none is not a folder; give a dataset in BEIR layout"),
        (["experiment", "{tmp}", "--out", "{tmp}/o", "--set", "tune.epoch=1"], "the nearest is 'epochs'"),
        (["experiment", "{tmp}", "--out", "{tmp}/o", "--arms", "x"], "'x' is not an arm"),
        (["experiment", "{tmp}", "--out", "{tmp}/o", "--seeds", "0"], "not a whole number from 1 to 100"),
        (["experiment", "{tmp}", "--out", "{tmp}/o", "--preset", "slow"], "invalid choice: 'slow'"),
        (["experiment", "{tmp}", "--out", "{tmp}/o", "--decisions", "{tmp}/d"], "--decisions takes a JSONL"),
        (["experiment", "{tmp}", "--out", "{tmp}/o", "--set", "train.base=x"], "use --base NAME"),
        (["experiment", "{tmp}", "--out", "{tmp}/o", "--llm", "gpt9"], "'gpt9' is not in the catalogue"),
        (["experiment", "{tmp}", "--out", "{tmp}/o", "--base", "facebook/contriever"], "is not on this machine"),
        (["experiment", "{tmp}", "--out", "{tmp}/o", "--families", "colbert"], "'colbert' is not a family"),
        (["experiment", "{tmp}", "--out", "{tmp}/o", "--arms", "sptar", "--equal-pairs"], "name two of them with"),
        (["ablate", "{tmp}", "--out", "{tmp}/o", "--switches", "luck"], "'luck' is not a switch"),
        (["ablate", "{tmp}/none", "--out", "{tmp}/o"], "none is not a folder"),
        (["prompts", "{tmp}", "--out", "{tmp}/o", "--arms", "seeds_only"], "name at least one arm that writes queries"),
        (["prompts", "{tmp}", "--out", "{tmp}/o", "--prompts", "13"], "13 is not from 2 to 12"),
        (["search", "{tmp}", "q", "--depth", "0"], "not a whole number from 1 to 100"),
        (["run", "tune", "--in", "{tmp}/none", "--out", "{tmp}/o"], "none does not exist"),
        (["experiment", "{tmp}"], "--out"),
        (["run", "tune", "--out", "{tmp}/o"], "The stage tune needs the input prepare"),
        (["run", "tune", "--out", "{tmp}/o", "--set", "filter.top_k=1"], "this command runs only the stage tune"),
        (["run", "cook", "--out", "{tmp}/o"], "invalid choice: 'cook'"),
        (["compare", "{tmp}/none"], "holds no experiment"),
        (["models", "add", "{tmp}"], "is not a model folder"),
        (["frobnicate"], "invalid choice: 'frobnicate'"),
    ],
)
def test_bad_usage_is_one_sentence_exit_2_and_nothing_written(tmp_path, capsys, words, message) -> None:
    assert run("--models", str(tmp_path / "m"), *(word.format(tmp=tmp_path) for word in words)) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.startswith("sptar: ") and "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("x"), 2),
        (ConfigError("a.b", "x"), 2),
        (StageError("x"), 1),
        (Cancelled("x"), 130),
        (KeyboardInterrupt(), 130),
        (PermissionError(13, "Permission denied", "/x"), 1),
    ],
)
def test_errors_become_exit_codes(monkeypatch, capsys, error, code) -> None:
    def fail(arguments):
        raise error

    monkeypatch.setattr(cli, "_stages", fail)
    assert run("stages") == code
    assert capsys.readouterr().err.startswith("sptar: ")


def test_stages_lists_every_option_with_its_bounds(capsys) -> None:
    assert run("stages") == 0
    text = capsys.readouterr().out
    assert "filter.top_k = 30  keep a query whose document is found within this rank (1 to 100)" in text


def test_models_list_names_licences_and_what_is_here(capsys) -> None:
    assert run("models", "list") == 0
    text = capsys.readouterr().out
    assert "all-minilm-l6-v2  encoder  Apache-2.0" in text
    assert "meta-llama/Llama-2-7b-hf" in text and "not on this machine" in text
