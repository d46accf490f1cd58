"""A stage runs at most once, leaves a whole result or none, and hands its scratch to the next attempt."""

import errno
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors import SafetensorError

from sptar_engine.configs import (
    FilterConfig,
    GenerateConfig,
    PrepareConfig,
    StageConfig,
    TeachConfig,
    TrainConfig,
    TuneConfig,
)
from sptar_engine.errors import Cancelled, InputError, StageError, StaleAttempt
from sptar_engine.pipeline import RESULT, StageResult, Store, named_models, run_stage, stage_key
from sptar_engine.registry import StageSpec
from sptar_engine.stage import StageContext, StageOutput

Run = Callable[[StageConfig, StageContext], StageOutput]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(root=tmp_path / "out", models=tmp_path / "models")


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "dataset"
    folder.mkdir()
    (folder / "corpus.jsonl").write_text('{"_id": "1", "text": "a"}\n')
    return folder


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[Run], None]:
    """Put a fast fake in the place of every stage."""

    def put(run: Run) -> None:
        monkeypatch.setattr(StageSpec, "load", lambda spec: run)

    return put


def write_output(config: StageConfig, context: StageContext) -> StageOutput:
    (context.out_dir / "numbers.txt").write_text("1\n")
    (context.scratch / "shard").write_text("temporary")
    return StageOutput({"count": 1})


def prepare(store: Store, dataset: Path, **settings: float) -> StageResult:
    return run_stage(PrepareConfig(**settings), {"dataset": dataset}, store)


def attempts(store: Store) -> list[str]:
    return [path.name for path in (store.root / "stages").glob("*.attempt-*")]


def test_result_holds_config_seed_metrics_checksums_and_versions(store, dataset, use) -> None:
    use(write_output)
    result = prepare(store, dataset, seed=7)
    row = json.loads((result.folder / RESULT).read_text())
    assert row["stage"] == "prepare" and row["seed"] == 7 and row["config"]["min_grade"] == 1
    assert row["metrics"] == {"count": 1}
    # sha256 of "1\n", computed by sha256sum
    assert row["artifacts"] == {"numbers.txt": "4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865"}
    assert set(row["inputs"]) == {"dataset"}
    assert row["versions"]["torch"] == "2.13.0+cpu" or row["versions"]["torch"].startswith("2.13.0")
    assert not (result.folder / "scratch").exists()


def test_same_work_is_not_done_twice(store, dataset, use) -> None:
    runs: list[int] = []

    def count(config: StageConfig, context: StageContext) -> StageOutput:
        runs.append(1)
        return write_output(config, context)

    use(count)
    first, second = prepare(store, dataset), prepare(store, dataset)
    assert runs == [1]
    assert (first.reused, second.reused) == (False, True)
    assert first.folder == second.folder


def test_another_option_or_another_dataset_is_another_result(store, dataset, use) -> None:
    use(write_output)
    folders = {prepare(store, dataset).folder, prepare(store, dataset, seed=14).folder}
    (dataset / "corpus.jsonl").write_text('{"_id": "1", "text": "b"}\n')
    folders.add(prepare(store, dataset).folder)
    assert len(folders) == 3


def test_a_file_that_is_no_part_of_the_dataset_changes_nothing(store, dataset, use) -> None:
    use(write_output)
    first = prepare(store, dataset)
    (dataset / "notes.txt").write_text("x")
    assert prepare(store, dataset).folder == first.folder


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove", "extra"])
def test_damaged_artifact_is_made_again(store, dataset, use, damage) -> None:
    use(write_output)
    path = prepare(store, dataset).folder / "numbers.txt"
    if damage == "flip":
        path.write_text("3\n")
    elif damage == "truncate":
        path.write_text("1")
    elif damage == "remove":
        path.unlink()
    else:
        path.with_name("more.txt").write_text("")
    again = prepare(store, dataset)
    assert not again.reused
    assert path.read_text() == "1\n"


def test_cut_off_result_file_is_no_result(store, dataset, use) -> None:
    use(write_output)
    result = prepare(store, dataset)
    text = (result.folder / RESULT).read_text()
    (result.folder / RESULT).write_text(text[: len(text) // 2])
    assert not prepare(store, dataset).reused


def test_redoing_a_stage_equally_keeps_what_follows(store, dataset, use) -> None:
    use(write_output)
    first = prepare(store, dataset)
    tuned = run_stage(TuneConfig(), {"prepare": first.folder}, store)
    (first.folder / "numbers.txt").write_text("damaged")
    again = prepare(store, dataset)
    assert run_stage(TuneConfig(), {"prepare": again.folder}, store).folder == tuned.folder


def test_cancelled_stage_leaves_no_result_and_its_scratch_is_taken_over(store, dataset, use) -> None:
    seen: list[list[str]] = []

    def stop_once(config: StageConfig, context: StageContext) -> StageOutput:
        seen.append(sorted(path.name for path in context.out_dir.rglob("*") if path.is_file()))
        (context.scratch / f"shard-{len(seen)}").write_text("done")
        (context.out_dir / "half.txt").write_text("half")
        context.tick(1, 2, "working")
        return StageOutput({})

    use(stop_once)
    with pytest.raises(Cancelled, match="again"):
        run_stage(PrepareConfig(), {"dataset": dataset}, store, should_stop=lambda: True)
    assert not list((store.root / "stages").glob(f"*/{RESULT}"))
    assert attempts(store)[0].endswith(".attempt-1")
    prepare(store, dataset)
    assert seen == [[], ["shard-1", "work_time.json"]]
    assert attempts(store) == []


def test_kill_after_the_stage_and_before_its_result_loses_no_scratch(store, dataset, use, monkeypatch) -> None:
    from sptar_engine import pipeline

    seen: list[bool] = []

    def resume(config: StageConfig, context: StageContext) -> StageOutput:
        seen.append((context.out_dir / "scratch" / "shard").exists())
        return write_output(config, context)

    use(resume)
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "_publish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            prepare(store, dataset)
    result = prepare(store, dataset)
    assert seen == [False, True]
    assert not (result.folder / "scratch").exists()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that is moved by hand."""
    from sptar_engine import work_time

    now = [1000.0]
    monkeypatch.setattr(work_time.time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize("error", [KeyboardInterrupt, StageError("broken"), MemoryError])
def test_seconds_are_those_of_all_attempts(store, dataset, use, clock, error) -> None:
    def stop(config: StageConfig, context: StageContext) -> StageOutput:
        (context.scratch / "shard").write_text("done")
        clock[0] += 90
        raise error

    def finish(config: StageConfig, context: StageContext) -> StageOutput:
        clock[0] += 10
        return write_output(config, context)

    use(stop)
    for _ in range(2):
        with pytest.raises((KeyboardInterrupt, StageError)):
            prepare(store, dataset)
    use(finish)
    assert prepare(store, dataset).seconds == 190


def test_kill_loses_the_seconds_since_the_last_note(store, dataset, use, clock, monkeypatch) -> None:
    from sptar_engine import work_time

    notes: list[float] = []
    write = work_time.write_json
    monkeypatch.setattr(work_time, "write_json", lambda path, row: notes.append(row["seconds"]) or write(path, row))

    def work(config: StageConfig, context: StageContext) -> StageOutput:
        for done in range(25):
            clock[0] += 1
            context.tick(done, 25, "working")
        kept = sorted((store.root / "stages").glob("*/scratch/*.json"))
        assert [json.loads(path.read_text()) for path in kept] == [{"seconds": 20.0}]
        return write_output(config, context)

    use(work)
    assert prepare(store, dataset).seconds == 25
    assert notes == [10, 20]


def test_attempt_that_left_nothing_in_its_first_seconds_leaves_no_time(store, dataset, use, clock) -> None:
    def stop(config: StageConfig, context: StageContext) -> StageOutput:
        clock[0] += 9
        raise KeyboardInterrupt

    use(stop)
    with pytest.raises(KeyboardInterrupt):
        prepare(store, dataset)
    assert not list((store.root / "stages").glob("*/scratch"))


def test_attempt_whose_folder_is_gone_leaves_no_folder_for_its_time(store, dataset, use, clock) -> None:
    def lose(config: StageConfig, context: StageContext) -> StageOutput:
        context.out_dir.rename(context.out_dir.with_name("elsewhere"))
        clock[0] += 60
        context.tick(1, 2, "working")
        raise KeyboardInterrupt

    use(lose)
    with pytest.raises(KeyboardInterrupt):
        prepare(store, dataset)
    assert [path.name for path in (store.root / "stages").iterdir()] == ["elsewhere"]


def test_broken_note_of_the_seconds_counts_as_none(store, dataset, use, clock) -> None:
    def stop(config: StageConfig, context: StageContext) -> StageOutput:
        (context.scratch / "shard").write_text("done")
        raise KeyboardInterrupt

    use(stop)
    with pytest.raises(KeyboardInterrupt):
        prepare(store, dataset)
    (note,) = (store.root / "stages").glob("*/scratch/*.json")
    note.write_text("{")
    use(write_output)
    assert prepare(store, dataset).seconds == 0


def test_scratch_left_by_a_kill_after_the_result_goes_at_the_next_look(store, dataset, use) -> None:
    use(write_output)
    scratch = prepare(store, dataset).folder / "scratch"
    scratch.mkdir()
    assert prepare(store, dataset).reused
    assert not scratch.exists()


def test_attempt_that_lost_its_fence_leaves_nothing(store, dataset, use) -> None:
    use(write_output)
    with pytest.raises(StaleAttempt):
        run_stage(PrepareConfig(), {"dataset": dataset}, store, fence=lambda: False)
    assert list((store.root / "stages").iterdir()) == []


def test_attempt_that_finds_the_name_taken_leaves_the_first_result(store, dataset, use) -> None:
    def slow(config: StageConfig, context: StageContext) -> StageOutput:
        use(write_output)
        prepare(store, dataset)  # another process is faster
        (context.out_dir / "numbers.txt").parent.mkdir(exist_ok=True)
        return StageOutput({})

    use(slow)
    with pytest.raises((StaleAttempt, FileNotFoundError)):
        prepare(store, dataset)
    assert attempts(store) == []
    assert prepare(store, dataset).reused


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
def test_full_disk_says_so_and_keeps_what_was_finished(store, dataset, use, error: Exception) -> None:
    use(write_output)
    first = prepare(store, dataset)

    def full(config: StageConfig, context: StageContext) -> StageOutput:
        raise error

    use(full)
    with pytest.raises(StageError, match="disk is full"):
        run_stage(TuneConfig(), {"prepare": first.folder}, store)
    assert prepare(store, dataset).reused


@pytest.mark.parametrize(
    ("config", "roles", "words"),
    [
        (FilterConfig(), ["prepare"], "needs the input generate"),
        (PrepareConfig(), ["dataset", "tune"], "does not take the input tune"),
        (PrepareConfig(), [], "needs the input dataset"),
    ],
)
def test_wrong_inputs_are_named(store, dataset, config, roles, words) -> None:
    with pytest.raises(InputError, match=words):
        run_stage(config, dict.fromkeys(roles, dataset), store)


def test_input_that_does_not_exist_is_named(store, tmp_path) -> None:
    with pytest.raises(InputError, match="nowhere does not exist"):
        run_stage(PrepareConfig(), {"dataset": tmp_path / "nowhere"}, store)


def test_dataset_is_read_by_its_bytes_although_a_result_file_lies_in_it(store, dataset, use) -> None:
    use(write_output)
    (dataset / RESULT).write_text('{"digest": "of another life"}')
    first = prepare(store, dataset)
    (dataset / "corpus.jsonl").write_text('{"_id": "1", "text": "b"}\n')
    assert prepare(store, dataset).folder != first.folder


def test_bad_input_leaves_no_attempt_behind(store, dataset, use) -> None:
    def refuse(config: StageConfig, context: StageContext) -> StageOutput:
        (context.out_dir / "corpus.jsonl").write_text("half")
        raise InputError("corpus.jsonl, line 3: not JSON")

    use(refuse)
    with pytest.raises(InputError, match="line 3"):
        prepare(store, dataset)
    assert list((store.root / "stages").iterdir()) == []


def test_too_little_memory_gets_a_sentence(store, dataset, use) -> None:
    def hungry(config: StageConfig, context: StageContext) -> StageOutput:
        raise MemoryError

    use(hungry)
    with pytest.raises(StageError, match="Not enough memory for the stage prepare"):
        prepare(store, dataset)


def test_stage_that_shows_its_inputs_results_is_redone_when_these_change(store, tmp_path) -> None:
    from sptar_engine.pipeline import input_digest

    row = {"digest": "same", "config": {"patience": 3}, "metrics": {}, "versions": {}}
    digests = []
    for patience in (3, 4):
        (tmp_path / RESULT).write_text(json.dumps(row | {"config": {"patience": patience}}))
        digests.append((input_digest("train", tmp_path), input_digest("train", tmp_path, whole=True)))
    assert digests[0][0] == digests[1][0] == "same"
    assert digests[0][1] != digests[1][1]


def test_model_named_by_path_has_the_key_of_its_content(store, tmp_path, monkeypatch) -> None:
    folders = [tmp_path / place / "mine" for place in ("one", "two")]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
        (folder / "model.safetensors").write_bytes(b"weights")
    keys = {stage_key(TuneConfig(model=str(folder)), {"prepare": "x"}, store.models) for folder in folders}
    assert len(keys) == 1


def test_key_depends_on_the_exact_model(store, monkeypatch) -> None:
    from sptar_engine import catalog

    before = stage_key(TuneConfig(), {"prepare": "x"}, store.models)
    entry = catalog.describe("smollm2-135m-instruct", catalog.LANGUAGE_MODEL, store.models)
    newer = catalog.ModelEntry(entry.name, entry.kind, entry.licence, entry.source, "9.9", entry.folder)
    monkeypatch.setattr(catalog, "describe", lambda name, kind, models: newer)
    assert stage_key(TuneConfig(), {"prepare": "x"}, store.models) != before


def test_cross_encoder_by_its_own_score_alone_is_known_from_before_there_was_a_choice(store) -> None:
    def key(weights: int) -> str:
        return stage_key(TrainConfig(family="cross_encoder", weights=weights), {"prepare": "x"}, store.models)

    assert "weights" in TrainConfig(family="cross_encoder", weights=0).idle
    assert len({key(0), key(5), key(10)}) == 3


@pytest.mark.parametrize(
    ("config", "idle", "use"),
    [
        (GenerateConfig, {"base": "sparse-encoder"}, {"choice": "diverse"}),
        (FilterConfig, {"max_length": 64, "threads": 1}, {"method": "round_trip"}),
        (TeachConfig, {"document_tokens": 64}, {"teacher": "likelihood"}),
        (TrainConfig, {"weights": 5, "k1": 1.2}, {"family": "cross_encoder"}),
    ],
)
def test_setting_that_nothing_looks_at_does_not_make_another_result(store, monkeypatch, config, idle, use) -> None:
    from sptar_engine import catalog

    entry = catalog.ModelEntry
    monkeypatch.setattr(catalog, "describe", lambda name, kind, models: entry(name, kind, "", "", "1", None))
    keys = [stage_key(config(**given), {"prepare": "x"}, store.models) for given in ({}, idle, use, {**idle, **use})]
    assert keys[0] == keys[1] != keys[2] != keys[3]


@pytest.mark.parametrize(
    ("settings", "models"),
    [
        ({"teacher": "hybrid"}, {"base"}),
        ({"teacher": "likelihood"}, {"base", "model"}),
        ({"teacher": "none"}, {"base"}),
    ],
)
def test_model_that_nothing_looks_at_need_not_be_there(settings, models) -> None:
    assert {field for field, _, _ in named_models(TeachConfig(**settings))} == models
