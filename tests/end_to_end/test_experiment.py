"""The whole way on a toy dataset with tiny random models, through the command line as a user types it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sptar_engine.arms import ARMS
from sptar_engine.artifacts import checksums
from sptar_engine.cli import main
from tests.end_to_end.conftest import Workshop


def artifacts(out: Path) -> dict[str, str]:
    """Checksums of everything that is a result, which no clock and no path may change."""
    rows = json.loads((out / "experiment.json").read_text())["steps"]
    folders = {row["folder"] for row in rows}
    return {
        f"{folder}/{name}": digest
        for folder in sorted(folders)
        for name, digest in checksums(out / folder, skip=frozenset({"result.json"})).items()
    }


def test_every_arm_is_compared_on_every_measure_with_intervals_and_verdicts(finished, capsys) -> None:
    assert main(["compare", str(finished), "--json"]) == 0
    comparison = json.loads(capsys.readouterr().out)
    assert comparison["dataset"] == "toy"
    assert list(comparison["arms"]) == list(ARMS)
    trained = {name for name, arm in ARMS.items() if arm.trains}
    assert {arm for arm, row in comparison["arms"].items() if "training" in row} == trained
    assert set(comparison["families"]) == trained
    assert comparison["missing"] == []
    for arm, row in comparison["arms"].items():
        for measure in ("nDCG@10", "RR@10", "R@100", "AP"):
            assert 0 <= row[measure]["low"] <= row[measure]["mean"] <= row[measure]["high"] <= 1
        assert set(row["versus"]) == set(ARMS) - {arm}
        for other in row["versus"].values():
            assert other["verdict"] in ("better", "worse", "cannot tell")
            assert 0 < other["p"] <= 1 and other["low"] <= other["difference"] <= other["high"]


def test_experiment_file_tells_what_ran_and_how_much_memory_it_took(finished) -> None:
    row = json.loads((finished / "experiment.json").read_text())
    assert row["complete"] and row["machine"]["dtype"] in ("float32", "bfloat16")
    assert 0 < row["peak_mib"] < 5 * 1024
    assert row["cells"] == list(ARMS)
    assert all(step["peak_mib"] > 0 for step in row["steps"])
    assert {step["stage"] for step in row["steps"]} == {
        "prepare", "tune", "select", "generate", "filter", "teach", "train", "evaluate", "package",
    }  # fmt: skip


def test_started_again_it_takes_everything_from_the_cache(workshop, copy, stages_run, capsys) -> None:
    assert workshop.experiment(copy) == 0
    assert stages_run == []
    assert "against bm25" in capsys.readouterr().out


def test_another_threshold_redoes_only_the_filter_and_what_follows(workshop, copy, stages_run) -> None:
    assert workshop.experiment(copy, "--set", "filter.top_k=1") == 0
    assert "filter" in stages_run
    assert not {"prepare", "tune", "select", "generate"} & set(stages_run)


def test_damaged_artifact_is_redone_with_a_line_and_what_follows_stays(workshop, copy, stages_run, caplog) -> None:
    weak = sorted(copy.glob("stages/generate-*/weak.jsonl"))[0]
    before = weak.read_bytes()
    weak.write_bytes(before[:-10])
    assert workshop.experiment(copy) == 0
    assert stages_run == ["generate"]
    assert weak.read_bytes() == before
    assert "is not what its checksum says; the stage is done again" in caplog.text


def test_two_training_seeds_are_averaged_per_query(workshop, copy) -> None:
    assert workshop.experiment(copy, "--seeds", "2", arms="bm25,seeds_only") == 0
    row = json.loads((copy / "experiment.json").read_text())
    assert sum(step["stage"] == "evaluate" for step in row["steps"]) == 3


def test_decisions_change_the_training_set_and_nothing_before_it(workshop, copy, stages_run, tmp_path) -> None:
    ranks = sorted(copy.glob("stages/filter-*/ranks.jsonl"))[0]
    weak_id = json.loads(ranks.read_text().splitlines()[0])["weak_id"]
    decisions = tmp_path / "decisions.jsonl"
    decisions.write_text(json.dumps({"weak_id": weak_id, "verdict": "reject", "text": ""}) + "\n")
    assert workshop.experiment(copy, "--decisions", str(decisions)) == 0
    assert set(stages_run) <= {"teach", "train", "evaluate", "package"}
    assert "train" in stages_run


def test_interrupted_run_exits_130_and_goes_on_to_the_same_bytes(workshop, finished, tmp_path) -> None:
    out = tmp_path / "out"
    words = [sys.executable, "-m", "sptar_engine", *workshop.arguments(out, arms="sptar")]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list(out.glob("stages/tune-*.attempt-1")) and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "again" in errors and "Traceback" not in errors
    # The stopped run decided on the machine first; take over what the undisturbed one decided, as a resume would.
    assert json.loads((out / "machine.json").read_text()) == json.loads((finished / "machine.json").read_text())
    assert workshop.experiment(out, arms="sptar") == 0
    undisturbed = artifacts(finished)
    assert {name: digest for name, digest in artifacts(out).items() if undisturbed[name] != digest} == {}


def test_second_run_in_the_same_folder_is_refused(workshop, finished, capsys) -> None:
    import fcntl

    with (finished / ".running").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        assert workshop.experiment(finished) == 2
    assert "Another run is at work in" in capsys.readouterr().err


def test_bad_dataset_is_refused_in_one_sentence_and_nothing_is_written(workshop, tmp_path, capsys) -> None:
    broken = Path(shutil.copytree(workshop.dataset, tmp_path / "broken"))
    os.chmod(broken / "corpus.jsonl", 0o644)
    with (broken / "corpus.jsonl").open("a") as stream:
        stream.write('{"_id": "z", "text": "cut')
    other = Workshop(workshop.root, broken)
    assert other.experiment(tmp_path / "out") == 2
    errors = capsys.readouterr().err
    assert "corpus.jsonl" in errors and "line 61" in errors and "Traceback" not in errors
    assert not (tmp_path / "out").exists()


def test_one_stage_runs_alone_and_finds_the_roles_of_its_inputs(workshop, finished, tmp_path, capsys) -> None:
    prepare = next(finished.glob("stages/prepare-*"))
    words = [
        "run",
        "evaluate",
        "--in",
        str(prepare),
        "--out",
        str(tmp_path / "one"),
        "--set",
        "evaluate.retriever=bm25",
    ]
    assert main(["--models", str(workshop.models), *words]) == 0
    line = json.loads(capsys.readouterr().out)
    assert (Path(line["folder"]) / "run.trec").is_file()
    assert not line["reused"]


@pytest.mark.parametrize("retriever", ["bm25", "trained"])
def test_search_prints_hits_best_first(workshop, finished, capsys, retriever) -> None:
    model = str(next(finished.glob("stages/train-*/model"))) if retriever == "trained" else "bm25"
    query = json.loads((workshop.dataset / "queries.jsonl").read_text().splitlines()[0])["text"]
    words = ["search", str(workshop.dataset), query, "--with", model, "--depth", "3"]
    assert main(["--models", str(workshop.models), *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["1", "2", "3"]


def test_health_is_printed_as_json(workshop, capsys) -> None:
    assert main(["health", str(workshop.dataset)]) == 0
    assert json.loads(capsys.readouterr().out)["documents"] == 60
