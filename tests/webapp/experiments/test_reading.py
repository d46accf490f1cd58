"""What the pages say about numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from webapp.models import CurvePoint, Experiment, Project, StageRun, State
from webapp.places import log_file, store_folder
from webapp.selectors import candidates, curves, experiments
from webapp.selectors.comparisons import short, table_of
from webapp.selectors.failures import advice_for
from webapp.selectors.logs import tail_of
from webapp.selectors.words import duration, size, stage_title, time_range, write_p


@pytest.mark.parametrize(
    ("passes", "is_over", "sentence"),
    [
        ({}, False, "The first number comes after the first pass over the examples."),
        ({}, True, "No pass was finished."),
        ({1: 44.0}, False, "After pass 1 the surprise about the held-out examples is 44.0."),
        ({0: 44.0, 1: 30.0, 5: 28.0, 6: 28.0}, True, "Surprise fell from 44.0 to 28.0, best after pass 5."),
        ({0: 44.0, 1: 50.0}, True, "No pass was better than the start: surprise about the held-out examples is 44.0."),
    ],
)
def test_a_curve_is_read_in_a_sentence(passes: dict[float, float], is_over: bool, sentence: str) -> None:
    assert curves.read_passes(passes, is_over=is_over) == sentence


def test_trainings_are_drawn_by_arm_with_the_untrained_model_first(
    make_experiment: Callable[..., Experiment],
) -> None:
    experiment = make_experiment({"train.sptar": "running", "train.seeds_only": "done"})
    for name in ("train.sptar", "train.seeds_only"):
        stage = experiment.stages.get(step_id=name)
        CurvePoint.objects.create(stage_run=stage, step=0, values={"step": 0, "dev_nDCG@10": 0.7})
        CurvePoint.objects.create(stage_run=stage, step=6, values={"step": 6, "dev_nDCG@10": 0.75, "loss": 0.5})
    (drawn,) = curves.training(experiments.stages_of(experiment)).charts
    assert drawn.held_out is not None and drawn.loss is not None
    assert [line.name for line in drawn.held_out.lines] == [
        "Trained on your examples only", "Tuned question writer (SPTAR)",
    ]  # fmt: skip
    assert drawn.held_out.frame.table.rows == (("0", "0.7", "0.7"), ("6", "0.75", "0.75"))
    assert drawn.loss.frame.table.rows == (("6", "0.5", "0.5"),)


def test_the_chosen_example_set_is_shown_with_its_texts(
    make_experiment: Callable[..., Experiment], ready: Project
) -> None:
    experiment = make_experiment({"select.sptar": "done"})
    experiment.stages.filter(step_id="select.sptar").update(folder="select-1")
    folder = store_folder(ready) / "stages" / "select-1"
    folder.mkdir(parents=True)
    rows = [
        {"rank": rank, "perplexity": value, "examples": [{"query_id": f"q{rank}", "doc_id": f"d{rank}"}]}
        for rank, value in ((1, 33.3), (2, 40.0))
    ]
    (folder / "candidates.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (found,) = candidates.tried(experiment, experiments.stages_of(experiment))
    assert [row.chosen for row in found.rows] == [True, False]
    assert found.rows[0].examples[0].question == "What is q1?"
    assert found.rows[0].examples[0].title == "Title 1"
    assert "33.3; the worst of 2 sets: 40.0" in found.sentence


def test_sets_are_listed_while_they_are_tried(make_experiment: Callable[..., Experiment]) -> None:
    experiment = make_experiment({"select.sptar": "running"})
    stage = experiment.stages.get(step_id="select.sptar")
    for step, value in ((1, 40.0), (2, 33.3)):
        CurvePoint.objects.create(stage_run=stage, step=step, values={"perplexity": value, "best": 33.3})
    (found,) = candidates.tried(experiment, experiments.stages_of(experiment))
    assert [(row.rank, row.chosen) for row in found.rows] == [(1, False), (2, True)]
    assert found.sentence == "The best so far has a surprise of 33.3."


def versus(difference: float, verdict: str, needed: int | None = 50, queries: int = 100) -> dict[str, Any]:
    return {
        "difference": difference, "low": difference - 0.02, "high": difference + 0.02, "p": 0.01, "t_p": 0.01,
        "verdict": verdict, "queries": queries, "queries_needed": needed,
    }  # fmt: skip


def arm(mean: float, against: dict[str, dict[str, Any]], kept_untrained: bool | None = None) -> dict[str, Any]:
    one = {"mean": mean, "low": mean - 0.05, "high": mean + 0.05}
    row: dict[str, Any] = {"nDCG@10": one, "RR@10": one, "R@100": one, "versus": against}
    if kept_untrained is not None:
        row["training"] = [{"kept_untrained": kept_untrained, "sentence": "It trained.", "step": "train.sptar"}]
    return row


def compared(experiment: Experiment, verdict: str, *, needed: int | None = 50, kept: bool = False) -> Experiment:
    experiment.comparison = {"arms": {
        "bm25": arm(0.3, {"zero_shot": versus(-0.1, "worse"), "sptar": versus(-0.13, "worse")}),
        "zero_shot": arm(0.4, {"bm25": versus(0.1, "better"), "sptar": versus(-0.03, "worse")}),
        "sptar": arm(0.43, {"bm25": versus(0.13, "better"), "zero_shot": versus(0.03, verdict, needed)}, kept),
    }}  # fmt: skip
    return experiment


def test_a_real_difference_is_a_headline(make_experiment: Callable[..., Experiment]) -> None:
    experiment = compared(make_experiment(), "better")
    table = table_of(experiment)
    assert table is not None
    assert table.headline == (
        "“Tuned question writer (SPTAR)” finds better results than the untrained model: 0.430 against 0.400, "
        "difference +0.030 (95 % between +0.010 and +0.050): likely real."
    )
    assert [row.arm for row in table.rows] == ["bm25", "zero_shot", "sptar"]
    assert table.waiting == ["Trained on your examples only", "Plain prompt (InPars)"]
    assert (table.queries, table.caution) == (100, "")
    assert short(experiment) == "+0.030 against untrained: better"


@pytest.mark.parametrize(
    ("needed", "words"),
    [(180, "cannot tell: about 80 more test examples needed"), (90, "cannot tell yet"), (None, "equal on these")],
)
def test_an_open_question_says_what_would_decide_it(
    make_experiment: Callable[..., Experiment], needed: int | None, words: str
) -> None:
    table = table_of(compared(make_experiment(), "cannot tell", needed=needed))
    assert table is not None
    assert words in table.headline
    assert table.rows[2].verdicts[1] is not None and table.rows[2].verdicts[1].state == "open"


@pytest.mark.parametrize("verdict_then", ["better", "cannot tell"])  # of the engine before and since it says so itself
def test_a_model_that_was_not_trained_after_all_is_never_better(
    make_experiment: Callable[..., Experiment], verdict_then: str
) -> None:
    table = table_of(compared(make_experiment(), verdict_then, kept=True))
    assert table is not None
    verdict = table.rows[2].verdicts[1]
    assert verdict is not None and (verdict.state, verdict.words) == ("open", "kept the untrained model: not better")
    assert "finds better" not in table.headline
    assert table.headline.endswith("kept the untrained model: not better.")
    assert (
        short(compared(make_experiment(), verdict_then, kept=True))
        == "+0.030 against untrained: kept the untrained model"
    )


def test_nothing_measured_is_no_table(make_experiment: Callable[..., Experiment]) -> None:
    experiment = make_experiment()
    assert table_of(experiment) is None
    assert short(experiment) == ""


def test_the_log_tells_what_happened_newest_first(make_experiment: Callable[..., Experiment]) -> None:
    experiment = make_experiment({"prepare": "done", "tune": "running"})
    now = timezone.now()
    experiment.stages.filter(step_id="prepare").update(
        started_at=now - timedelta(minutes=3), finished_at=now - timedelta(minutes=2), seconds=60, reused=True,
        metrics={"sentence": "40 documents"}, attempt=1,
    )  # fmt: skip
    experiment.stages.filter(step_id="tune").update(
        started_at=now - timedelta(minutes=1), attempt=2, message="epoch 1 of 3", done=5, total=15
    )
    lines = experiments.log_of(experiments.stages_of(experiment))
    assert [(line.stage, line.text) for line in lines] == [
        ("Tune the question writer: SPTAR", "epoch 1 of 3 (5 of 15)"),
        ("Tune the question writer: SPTAR", "began again (attempt 2)"),
        ("Prepare the data", "taken from an earlier run. 40 documents"),
        ("Prepare the data", "began"),
    ]


def test_the_time_left_follows_the_pace(make_experiment: Callable[..., Experiment]) -> None:
    stage = StageRun(state=State.RUNNING, started_at=timezone.now() - timedelta(seconds=100), done=25, total=100)
    assert experiments.left_words(stage) == "about 5 minutes left"
    stage.done = 0
    assert experiments.left_words(stage) == ""


def test_the_end_of_a_failed_steps_log_is_shown(make_experiment: Callable[..., Experiment]) -> None:
    experiment = make_experiment({"tune": "failed"})
    stages = experiments.stages_of(experiment)
    assert tail_of(stages) is None
    failed = next(stage for stage in stages if stage.stage == "tune")
    log_file(failed).parent.mkdir(parents=True)
    log_file(failed).write_text("\n".join(f"line {number}" for number in range(100)))
    tail = tail_of(stages)
    assert tail is not None
    assert tail.text.splitlines() == [f"line {number}" for number in range(75, 100)]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("Not enough memory for the stage tune", "smaller model"),
        ("The disk is full: /x could not take more.", "Free some space"),
        ("Timed out: this took longer than 24 hours", "Try again"),
        ("Something nobody foresaw", "If it fails once more"),
    ],
)
def test_every_error_has_advice(error: str, words: str) -> None:
    assert words in advice_for(error)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(3, "a few seconds"), (42, "40 seconds"), (100, "2 minutes"), (5000, "83 minutes"), (7200, "2 hours"),
     (200_000, "2 days")],
)  # fmt: skip
def test_times_are_for_people(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_ranges_and_sizes_are_for_people() -> None:
    assert time_range(480, 1140) == "8 to 19 minutes"
    assert time_range(3000, 7200) == "50 minutes to 2 hours"
    assert time_range(1, 2) == "about a few seconds"
    assert [size(value) for value in (999, 4_200, 91_587_478, 5e9)] == ["999 bytes", "4.2 kB", "92 MB", "5.0 GB"]


def test_a_repeat_is_named(make_experiment: Callable[..., Experiment]) -> None:
    assert stage_title(StageRun(stage="train", step_id="train.sptar.2", arms=["sptar"])) == (
        "Train the search model: SPTAR, repeat 2"
    )


def test_a_very_small_p_is_not_written_as_zero() -> None:
    assert [write_p(p) for p in (0.0, 0.0009, 0.001, 0.0416, 1.0)] == ["< 0.001", "< 0.001", "0.001", "0.042", "1.000"]
