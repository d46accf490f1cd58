"""Arms compared once more at equal numbers of generated questions: chosen, planned, run in order, shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sptar_engine.experiment import settled
from tests.webapp.compare.conftest import measure_all
from tests.webapp.experiments.test_form import make_form
from webapp.cells import in_order, wanted
from webapp.forms.experiments import choices_of
from webapp.jobs.comparison import step_of
from webapp.models import Experiment, Project, StageRun, State, User
from webapp.selectors.comparisons import best_known, pair_words
from webapp.selectors.experiments import stages_of
from webapp.selectors.grid import duels_of, grid_of
from webapp.selectors.recipes import command_of
from webapp.selectors.step_graph import graph_of
from webapp.selectors.words import arm_name, stage_title
from webapp.services.derive import curve_changes
from webapp.services.experiments import start
from webapp.services.stages import queue_ready, sources

ARMS = ["bm25", "zero_shot", "inpars", "sptar"]
EQUAL = ["filter.inpars", "filter.sptar"]


def begin(project: Project, person: User, **changes: Any) -> Experiment:
    given = {"arms": ARMS, "preset": "fast", "settings": {}, "equal_pairs": True, **changes}
    return start(project=project, actor=person, request_token="t", **given)


def test_the_form_plans_one_more_training_for_each_arm_that_writes_questions() -> None:
    form = make_form(arms=["seeds_only", "inpars", "sptar"], equal_pairs="on")
    assert form.is_valid(), form.errors
    assert [step.step_id for step in form.steps if step.variant and step.stage == "train"] == [
        "train.inpars:equal_pairs", "train.sptar:equal_pairs",
    ]  # fmt: skip
    plain = make_form(arms=["seeds_only", "inpars", "sptar"])
    assert plain.is_valid() and not any(step.variant for step in plain.steps)


def test_one_writer_has_nobody_to_be_compared_with() -> None:
    form = make_form(arms=["seeds_only", "sptar"], equal_pairs="on")
    assert form.errors["equal_pairs"] == [
        "Choose at least two ways of training that write questions, or leave it out."
    ]  # fmt: skip


def test_variants_are_stored_with_the_steps_that_limit_them(ready: Project, owner: User) -> None:
    experiment = begin(ready, owner)
    row = experiment.stages.get(step_id="train.sptar:equal_pairs")
    assert (row.variant, row.equal, row.cell) == ("equal_pairs", EQUAL, "sptar:equal_pairs")
    assert sources(row) == {"prepare", "filter.inpars", "filter.sptar"}
    assert choices_of(experiment)["equal_pairs"] is True
    assert "--equal-pairs" in command_of(experiment)
    assert experiment.stages.get(step_id="train.sptar").equal == []


def test_a_training_at_equal_numbers_waits_for_all_filters(ready: Project, owner: User) -> None:
    experiment = begin(ready, owner)
    done = ["prepare", "tune", "select.sptar", "generate.sptar", "filter.sptar"]
    experiment.stages.filter(step_id__in=done).update(state=State.DONE)
    queue_ready(experiment)
    training = experiment.stages.get(step_id="train.sptar:equal_pairs")
    assert (experiment.stages.get(step_id="train.sptar").state, training.state) == (State.QUEUED, State.WAITING)
    experiment.stages.filter(step_id="filter.inpars").update(state=State.DONE)
    queue_ready(experiment)
    training.refresh_from_db()
    assert training.state == State.QUEUED


def test_the_arm_with_more_questions_trains_on_as_many_as_the_other(ready: Project, owner: User) -> None:
    experiment = begin(ready, owner)
    steps = {row.step_id: step_of(row) for row in experiment.stages.all()}
    kept = {"filter.inpars": 60, "filter.sptar": 114}
    assert settled(steps["train.sptar:equal_pairs"], kept).as_dict()["weak_limit"] == 60
    assert settled(steps["train.inpars:equal_pairs"], kept) == steps["train.inpars"].config


def test_cells_at_equal_numbers_stand_behind_their_arm() -> None:
    names = ["bm25", "sptar", "sptar/hybrid", "sptar:equal_pairs", "sptar/hybrid:equal_pairs"]
    assert in_order(reversed(names)) == names
    assert wanted(["bm25", "seeds_only", "sptar"], ["bi_encoder"], equal_pairs=True) == [
        "bm25", "seeds_only", "sptar", "sptar:equal_pairs",
    ]  # fmt: skip
    assert arm_name("sptar/hybrid:equal_pairs") == "Tuned question writer (SPTAR), hybrid, equal numbers"


@pytest.fixture
def measured_equally(make_experiment: Callable[..., Experiment]) -> Experiment:
    """An experiment whose arms are measured at equal numbers, too: there they are equally good."""
    experiment = make_experiment(arms=ARMS, equal_pairs=True, state=State.DONE)
    equally = {"inpars:equal_pairs": 2, "sptar:equal_pairs": 2}
    return measure_all(experiment, {"bm25": 3, "zero_shot": 2, "inpars": 2, "sptar": 1, **equally})


def test_ways_of_training_are_compared_at_equal_numbers(measured_equally: Experiment) -> None:
    assert grid_of(measured_equally, measured_equally.comparison) is None
    duels = [(one.ours, one.theirs, one.family) for one in duels_of(measured_equally, measured_equally.comparison)]
    assert duels == [
        ("SPTAR", "plain prompt", "Bi-encoder"), ("SPTAR", "plain prompt", "Bi-encoder, equal numbers"),
    ]  # fmt: skip
    assert best_known(measured_equally.comparison) == "sptar"  # the variant is for a question of its own


def test_pages_and_steps_name_them(measured_equally: Experiment, client: Any, ready: Project) -> None:
    rows = [row.name for row in graph_of(stages_of(measured_equally))]
    assert any(name.startswith("Tuned question writer (SPTAR), equal numbers") for name in rows)
    training = measured_equally.stages.get(step_id="train.sptar:equal_pairs")
    assert stage_title(training) == "Train the search model: SPTAR, equal numbers"
    page = client.get(f"/p/{ready.slug}/compare/{measured_equally.number}/").content.decode()
    assert "Bi-encoder, equal numbers" in page
    assert client.get(f"/p/{ready.slug}/experiments/{measured_equally.number}/").status_code == 200


def test_the_sentence_about_numbers_says_that_there_is_such_a_training(measured_equally: Experiment) -> None:
    def weak(step_id: str, count: int) -> None:
        measured_equally.stages.filter(step_id=step_id).update(metrics={"weak_pairs": count, "seed_pairs": 20})

    for step_id, count in (("train.inpars", 60), ("train.sptar", 114), ("train.sptar:equal_pairs", 60)):
        weak(step_id, count)
    words = pair_words(list(measured_equally.stages.filter(stage="train").order_by("position")))
    assert "“Tuned question writer (SPTAR)” on 20 example pairs and 114 generated questions" in words
    assert words.endswith("“equal numbers” stands for the same training on 60 of them.")


def test_every_way_of_asking_counts_for_the_caution(make_experiment: Callable[..., Experiment]) -> None:
    experiment = make_experiment(arms=["bm25", "zero_shot", "seeds_only", "promptagator", "sptar"])
    for step_id, count in (("train.seeds_only", 0), ("train.promptagator", 30), ("train.sptar", 114)):
        experiment.stages.filter(step_id=step_id).update(metrics={"weak_pairs": count, "seed_pairs": 20})
    words = pair_words(list(experiment.stages.order_by("position")))
    assert "The ways of asking had unequal numbers of generated questions" in words and "two" not in words
    experiment.stages.filter(step_id="train.promptagator").update(metrics={"weak_pairs": 114, "seed_pairs": 20})
    assert "unequal" not in pair_words(list(experiment.stages.order_by("position")))


def test_a_learning_curve_has_one_way_of_training_alone(ready: Project, owner: User) -> None:
    experiment = begin(ready, owner)
    assert curve_changes(experiment, "sptar", 10)["equal_pairs"] is False
    assert StageRun.objects.filter(experiment=experiment, variant="equal_pairs").exists()
