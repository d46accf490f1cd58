"""An experiment's folder: one owner, the machine's choices kept, comparisons from what is there."""

import subprocess
import sys
from pathlib import Path

import pytest

from sptar_engine import workspace
from sptar_engine.configs import StageConfig, build_config
from sptar_engine.errors import InputError, StageError
from sptar_engine.pipeline import RESULT, StageResult
from sptar_engine.steps import Step
from tests.engine.finished_grid import write_experiment


def test_folder_that_was_made_for_nothing_goes_again(tmp_path) -> None:
    out = tmp_path / "out"

    def fail() -> None:
        with workspace.occupy(out):
            raise InputError("bad corpus")

    with pytest.raises(InputError):
        fail()
    assert not out.exists()


@pytest.mark.parametrize("kept", [f"stages/prepare-1/{RESULT}", "stages/tune-1.attempt-1/scratch/checkpoint.pt"])
def test_folder_with_a_finished_stage_or_a_checkpoint_stays(tmp_path, kept) -> None:
    out = tmp_path / "out"

    def fail() -> None:
        with workspace.occupy(out):
            (out / kept).parent.mkdir(parents=True)
            (out / kept).write_text("{}")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert (out / kept).exists()


def test_folder_that_was_there_before_stays(tmp_path) -> None:
    def fail() -> None:
        with workspace.occupy(tmp_path):
            raise InputError("bad corpus")

    with pytest.raises(InputError):
        fail()
    assert tmp_path.exists()


def test_second_owner_is_refused_while_the_first_lives(tmp_path) -> None:
    hold = "import sys; from pathlib import Path; from sptar_engine import workspace\n"
    hold += "with workspace.occupy(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    first = subprocess.Popen(
        [sys.executable, "-c", hold, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert first.stdout is not None and first.stdout.readline() == "held\n"
    with pytest.raises(InputError, match="Another run is at work in"), workspace.occupy(tmp_path):
        pass
    first.kill()
    first.communicate()
    with workspace.occupy(tmp_path):
        pass


def test_file_in_the_place_of_the_folder_is_refused(tmp_path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(InputError, match="is a file; --out takes a folder"), workspace.occupy(tmp_path / "out"):
        pass
    assert (tmp_path / "out").read_text() == "mine"


@pytest.fixture
def decide(monkeypatch) -> list[Path | None]:
    """Count what is measured, and let every measurement come out otherwise."""
    from sptar_engine import runtime

    asked: list[Path | None] = []

    def answer(language_model: Path | None) -> runtime.Machine:
        asked.append(language_model)
        return runtime.Machine("cpu", "bfloat16" if language_model else "float32", 10 + len(asked))

    monkeypatch.setattr(runtime, "decide", answer)
    return asked


def test_machine_decides_once_and_the_choice_is_kept(tmp_path, decide) -> None:
    first = workspace.machine(tmp_path, tmp_path, "tiny")
    assert workspace.machine(tmp_path, tmp_path, "tiny") == first
    assert first == {"device": "cpu", "dtype": "bfloat16", "threads": 11}
    assert len(decide) == 1


def test_experiment_begun_on_a_gpu_does_not_go_on_without_one(tmp_path, monkeypatch) -> None:
    from sptar_engine import runtime

    (tmp_path / "machine.json").write_text('{"device": "cuda", "threads": 4, "dtypes": {"tiny": "bfloat16"}}')
    monkeypatch.setattr(runtime, "pick_device", lambda: "cpu")
    with pytest.raises(StageError, match="was begun on a GPU and this machine has none"):
        workspace.machine(tmp_path, tmp_path, "tiny")
    monkeypatch.setattr(runtime, "pick_device", lambda: "cuda")
    assert workspace.machine(tmp_path, tmp_path, "tiny")["device"] == "cuda"


def test_going_back_to_an_earlier_language_model_finds_its_choice_again(tmp_path, decide) -> None:
    first = workspace.machine(tmp_path, tmp_path, "tiny")
    workspace.machine(tmp_path, tmp_path, "other")
    assert workspace.machine(tmp_path, tmp_path, "tiny") == first
    assert len(decide) == 2


def test_without_a_language_model_nothing_is_measured_until_one_comes(tmp_path, decide) -> None:
    before = workspace.machine(tmp_path, None, "")
    after = workspace.machine(tmp_path, tmp_path, "tiny")
    assert decide == [None, tmp_path]
    assert (before["dtype"], after["dtype"]) == ("float32", "bfloat16")
    # Threads change results in the last bits, so what trained with 11 goes on with 11.
    assert before["threads"] == after["threads"] == 11


def test_folder_without_an_experiment_is_named(tmp_path) -> None:
    with pytest.raises(InputError, match=r"holds no experiment; give the --out folder"):
        workspace.compare(tmp_path)


def step(name: str, config: StageConfig, inputs: dict[str, str], **more: object) -> Step:
    return Step(name, config.STAGE, config, inputs, ("sptar",), **more)


def test_record_holds_the_whole_plan_and_is_complete_only_when_all_of_it_is_done(tmp_path) -> None:
    prepare = step("prepare", build_config("prepare", {}), {"dataset": "dataset"})
    measure = step("evaluate.sptar", build_config("evaluate", {}), {"prepare": "prepare"}, family="hybrid")
    done = {"prepare": StageResult("prepare", tmp_path / "stages/prepare-1", {"documents": 3}, 2.5, "d", False, 40)}
    value = workspace.record(tmp_path / "place", {"dataset": "x"}, (prepare, measure), done)
    assert value == workspace.load(tmp_path / "place")
    assert (value["dataset"], value["cells"], value["complete"], value["peak_mib"]) == (
        "x",
        ["sptar/hybrid"],
        False,
        40,
    )
    (row,) = value["steps"]
    assert row["folder"] == "../stages/prepare-1"
    assert row["inputs"] == {"dataset": "dataset"} and row["seconds"] == 2.5 and row["peak_mib"] == 40
    done["evaluate.sptar"] = StageResult("evaluate", tmp_path / "e", {}, 1.0, "d", False, 30)
    value = workspace.record(tmp_path / "place", {"dataset": "x"}, (prepare, measure), done)
    assert value["complete"] and value["steps"][1]["family"] == "hybrid"


def test_record_shows_the_number_of_pairs_that_a_training_was_limited_to(tmp_path) -> None:
    keep = step("filter.sptar", build_config("filter", {}), {})
    inputs = {"filter": "filter.sptar"}
    train = step("train.sptar:equal_pairs", build_config("train", {}), inputs, equal=("filter.inpars", "filter.sptar"))
    done = {
        name: StageResult("filter", tmp_path, {"kept": kept}, 1.0, "d", False)
        for name, kept in (("filter.sptar", 9), ("filter.inpars", 4), ("train.sptar:equal_pairs", 0))
    }
    value = workspace.record(tmp_path, {"dataset": "x"}, (keep, train), done)
    assert value["steps"][1]["config"]["weak_limit"] == 4


def test_switches_and_prompts_stand_in_the_comparison_of_those_who_asked_for_them(tmp_path) -> None:
    write_experiment(tmp_path, {"sptar": 0.3, "sptar:without_filter": 0.2, "sptar:prompt_2": 0.1})
    found = workspace.compare(tmp_path)
    assert [row["switch"] for row in found["switches"]] == ["filter"]
    assert [row["cell"] for row in found["prompts"]] == ["sptar", "sptar:prompt_2"]
    assert [row["of"] for row in found["relations"]] == ["perplexity", "kept"]
