"""The training benchmark: its clock and sums by hand, and that every side learns from the same pairs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import training_sides
from benchmarks.training import Runs, read_experiment, summarise
from benchmarks.training_sides import SIDES, Task, Watch
from sptar_engine.artifacts import read_jsonl, write_jsonl
from sptar_engine.configs import PrepareConfig
from sptar_engine.pipeline import Store, run_stage

UNTRAINED = 0.40


def _runs(*courses: list[tuple[float, float]], mib: int = 100) -> Runs:
    return Runs(list(courses), UNTRAINED, [mib] * len(courses))


@pytest.fixture
def task(toy_dataset: Path, tiny_encoder: Path, tmp_path: Path) -> Task:
    store = Store(root=tmp_path / "store", models=tmp_path / "models")
    prepare = run_stage(PrepareConfig(), {"dataset": toy_dataset}, store).folder
    rows = [
        {"weak_id": f"w{number}", "query": " ".join(row["text"].split()[1:7]), "doc_id": row["_id"],
         "prompt_id": "p", "rank": 1, "kept": True, "reason": ""}
        for number, row in enumerate(list(read_jsonl(prepare / "corpus.jsonl"))[::2])
    ]  # fmt: skip
    write_jsonl(tmp_path / "filter" / "ranks.jsonl", rows)
    return Task(prepare, tmp_path / "filter", tmp_path / "models", str(tiny_encoder), 1, 2, 1)


def test_clock_stands_still_while_it_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(training_sides.time, "perf_counter", lambda: now[0])

    def measure() -> float:
        now[0] += 100.0
        return 0.5

    watch = Watch(measure)
    watch.start()
    now[0] += 3.0
    watch.mark()
    now[0] += 4.0
    watch.mark()
    assert watch.course == [(3.0, 0.5), (7.0, 0.5)]


def test_first_mark_at_the_target_counts_and_every_run_must_have_it() -> None:
    one = _runs([(1, 0.3), (2, 0.5), (3, 0.4)], [(1, 0.3), (2, 0.4), (3, 0.6)])
    assert one.seconds_to(0.5) == 2.5
    assert one.seconds_to(0.55) is None
    assert one.best == 0.55


def test_line_at_the_end() -> None:
    runs = {
        "sentence_transformers": _runs([(10.0, 0.42), (20.0, 0.45), (30.0, 0.44)], mib=300),
        "ours": _runs([(4.0, 0.449), (8.0, 0.47)], mib=200),
        "ours_both_towers": _runs([(7.0, 0.41), (14.0, 0.44)]),
    }
    row = json.loads(json.dumps(summarise(runs)))
    assert row["ours"] == 4.0 and row["peers"] == {"sentence_transformers": 20.0}
    assert row["ratio"] == {"sentence_transformers": 5.0}
    checks = row["checks"]
    assert checks["reached"] and checks["target_is_above_untrained"] and checks["memory_not_higher"]
    assert checks["ndcg_target"] == 0.448 and checks["seconds_ours_both_towers"] is None


def test_ratio_is_nought_where_ours_never_got_there() -> None:
    runs = {
        "sentence_transformers": _runs([(10.0, 0.39)], mib=100),
        "ours": _runs([(4.0, 0.38)], mib=200),
        "ours_both_towers": _runs([(4.0, 0.38)]),
    }
    row = summarise(runs)
    assert row["ours"] is None and row["ratio"] == {"sentence_transformers": 0.0}
    checks = row["checks"]
    assert not (checks["reached"] or checks["target_is_above_untrained"] or checks["memory_not_higher"])


@pytest.mark.parametrize("side", list(SIDES))
def test_every_side_trains_and_is_measured_as_often(task: Task, side: str, tmp_path: Path) -> None:
    untrained, watch = SIDES[side](task, tmp_path)
    seconds, scores = zip(*watch.course, strict=True)
    assert 0 <= untrained <= 1 and all(0 <= score <= 1 for score in scores)
    assert 2 <= len(scores) <= 3 and list(seconds) == sorted(seconds) and seconds[0] > 0


def test_pairs_of_an_experiment_are_those_of_its_arm_sptar(tmp_path: Path) -> None:
    steps = [
        {"step": "prepare", "folder": "stages/prepare-1"}, {"step": "filter.inpars", "folder": "stages/filter-1"},
        {"step": "filter.sptar", "folder": "stages/filter-2"},
    ]  # fmt: skip
    (tmp_path / "experiment.json").write_text(json.dumps({"steps": steps}))
    assert read_experiment(tmp_path) == (tmp_path / "stages/prepare-1", tmp_path / "stages/filter-2")
