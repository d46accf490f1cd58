"""Kinds of search models: chosen, planned, started, shown while they run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from sptar_engine.arms import ARMS, FAMILIES
from sptar_engine.configs import build_config
from tests.webapp.experiments.test_form import make_form
from tests.webapp.experiments.test_views import address, choices
from webapp.charts import MOST_LINES
from webapp.experiment_words import ARM_WORDS, FAMILY_WORDS, SHORT_ARM_WORDS, SHORT_STAGE_WORDS, STAGE_WORDS
from webapp.forms.experiments import CHOSEN_ARMS, USUAL_ARMS, choices_of
from webapp.models import Experiment, Project, StageRun, State, User
from webapp.selectors import curves
from webapp.selectors.estimates import kind_of, units
from webapp.selectors.experiments import result_words, stages_of
from webapp.selectors.step_graph import graph_of
from webapp.selectors.words import arm_name, short_name, stage_title
from webapp.services.experiments import repeat, start

GRID = ["bi_encoder", "late_interaction", "hybrid"]


def test_every_arm_family_and_stage_has_its_words() -> None:
    assert set(FAMILY_WORDS) == set(FAMILIES)
    assert set(ARM_WORDS) == set(SHORT_ARM_WORDS) == {"bm25", "zero_shot", *CHOSEN_ARMS}
    assert set(STAGE_WORDS) == set(SHORT_STAGE_WORDS) == set(build_config.__globals__["CONFIGS"])
    assert all(words.help.count(".") == 1 for words in FAMILY_WORDS.values())  # one plain sentence each


def test_the_bi_encoder_is_chosen_beforehand_and_the_described_task_is_offered_only() -> None:
    form = make_form()
    assert form["families"].value() == ["bi_encoder"]
    assert "promptagator" in CHOSEN_ARMS
    assert "promptagator" not in USUAL_ARMS
    assert form.is_valid()
    assert {step.family for step in form.steps if step.stage == "train"} == {"bi_encoder"}


def test_a_hybrid_brings_the_bi_encoder_along() -> None:
    form = make_form(families=["hybrid"], arms=["sptar"])
    assert form.is_valid(), form.errors
    assert form.cleaned_data["families"] == ["bi_encoder", "hybrid"]
    names = {step.step_id for step in form.steps}
    assert {"evaluate.zero_shot/hybrid", "fuse.sptar/hybrid", "evaluate.sptar/hybrid", "evaluate.sptar"} <= names


@pytest.mark.parametrize("families", [[], ["neural"]])
def test_no_family_and_an_unknown_one_are_refused(families: list[str]) -> None:
    assert "families" in make_form(families=families).errors


def test_the_described_task_keeps_its_own_settings_unless_somebody_asks() -> None:
    plain = make_form(arms=["promptagator", "inpars"])
    asked = make_form(arms=["promptagator", "inpars"], **{"filter-top_k": "20"})
    assert plain.is_valid() and asked.is_valid()

    def threshold(form: Any, arm: str) -> object:
        return next(step.config.as_dict()["top_k"] for step in form.steps if step.step_id == f"filter.{arm}")

    assert (threshold(plain, "promptagator"), threshold(plain, "inpars")) == (1, 30)
    assert (threshold(asked, "promptagator"), threshold(asked, "inpars")) == (20, 20)


def test_an_error_of_the_whole_plan_stands_at_its_option() -> None:
    form = make_form(**{"train-negatives": "20"})
    assert not form.is_valid()
    assert "fewer than the 20" in " ".join(form.errors["mine-count"])


def test_an_option_that_is_yes_or_no_is_a_menu() -> None:
    form = make_form(**{"train-multi_positive": "true"})
    assert form.is_valid(), form.errors
    assert form.settings["train"]["multi_positive"] is True
    assert [label for _, label in form.fields["train-multi_positive"].choices] == [  # type: ignore[attr-defined]
        "as the preset says (no)", "yes", "no",
    ]  # fmt: skip


def test_the_choices_of_an_experiment_with_a_grid_come_back(make_experiment: Callable[..., Experiment]) -> None:
    experiment = make_experiment(families=GRID)
    experiment.settings["train"] = {**experiment.settings["train"], "multi_positive": True}
    found = choices_of(experiment)
    assert (found["families"], found["train-multi_positive"]) == (GRID, "true")
    assert make_form(**found).is_valid()


def begin(project: Project, person: User, **changes: Any) -> Experiment:
    given = {"arms": ("bm25", "zero_shot", "sptar"), "preset": "fast", "settings": {}, "families": GRID, **changes}
    return start(project=project, actor=person, request_token="t", **given)


def test_the_grid_is_started_and_repeated(ready: Project, owner: User) -> None:
    experiment = begin(ready, owner)
    stages = {stage.step_id: stage for stage in experiment.stages.all()}
    assert experiment.families == GRID
    assert stages["train.sptar/late_interaction"].cell == "sptar/late_interaction"
    assert stages["filter.sptar"].cell == "sptar"
    assert {name for name in stages if name.startswith("package")} == {
        "package.sptar", "package.sptar/late_interaction",
    }  # fmt: skip
    assert stages["fuse.sptar/hybrid"].inputs == {"prepare": "prepare", "train": "train.sptar"}
    again = repeat(experiment=experiment, actor=owner, request_token="u")
    assert {stage.step_id for stage in again.stages.all()} == set(stages)


def test_stages_without_a_model_at_work_go_to_the_light_queue(ready: Project, owner: User) -> None:
    settings = {"train": {"negatives": 2}, "mine": {"source": "bm25"}, "filter": {"method": "round_trip"}}
    queues = {stage.step_id: stage.queue for stage in begin(ready, owner, settings=settings).stages.all()}
    assert (queues["mine.sptar"], queues["filter.sptar"], queues["fuse.sptar/hybrid"]) == ("cpu", "gpu", "gpu")


def test_an_experiment_of_before_is_a_bi_encoder_everywhere(make_experiment: Callable[..., Experiment]) -> None:
    experiment = make_experiment()
    experiment.stages.update(family="")
    assert {stage.cell for stage in experiment.stages.filter(stage="train")} == {"seeds_only", "inpars", "sptar"}
    assert [row.is_family for row in graph_of(stages_of(experiment))] == [False] * 6


def test_the_steps_stand_by_arm_and_then_by_family(make_experiment: Callable[..., Experiment]) -> None:
    experiment = make_experiment(arms=["bm25", "zero_shot", "sptar"], families=GRID)
    rows = graph_of(stages_of(experiment))
    assert [row.name for row in rows] == [
        "For all", "Keyword search", "Base model, untrained", "Base model, untrained: hybrid",
        "Tuned question writer (SPTAR)", "Tuned question writer (SPTAR): bi-encoder",
        "Tuned question writer (SPTAR): late interaction", "Tuned question writer (SPTAR): hybrid",
    ]  # fmt: skip
    assert [cell.name for cell in rows[5].cells] == ["Train", "Measure", "Pack"]
    assert [(cell.name, cell.column) for cell in rows[7].cells] == [("Put together", 1), ("Measure", 2)]
    assert max(row.columns for row in rows) <= 8


def test_a_training_that_only_teaches_is_called_a_teacher(ready: Project, owner: User) -> None:
    settings = {"train": {"negatives": 2}, "teach": {"teacher": "cross_encoder"}}
    stages = stages_of(begin(ready, owner, families=["bi_encoder"], settings=settings))
    rows = {row.name for row in graph_of(stages)}
    assert "Tuned question writer (SPTAR): cross-encoder (teacher)" in rows
    assert "Tuned question writer (SPTAR): bi-encoder" in rows
    for stage in stages:
        stage.metrics = {"sentence": "It trained."} if stage.stage == "train" else {}
    assert [name for name, _ in curves.training(stages).sentences] == [
        "Tuned question writer (SPTAR), cross-encoder (teacher)", "Tuned question writer (SPTAR)",
    ]  # fmt: skip


def test_a_first_round_and_a_repeat_are_named() -> None:
    stage = StageRun(
        stage="train", step_id="train.sptar/sparse.2.first", arms=["sptar"], family="sparse", config={}, inputs={}
    )
    assert stage_title(stage) == "Train the search model: SPTAR, learned sparse, repeat 2, first round"
    assert (arm_name("sptar"), arm_name("sptar/hybrid")) == (
        "Tuned question writer (SPTAR)", "Tuned question writer (SPTAR), hybrid",
    )  # fmt: skip
    assert short_name("inpars/cross_encoder") == "plain prompt, cross-encoder"


HYBRID = {
    "teacher": "hybrid", "teaches": True, "dev_nDCG@10": 0.48, "dev_nDCG@10_base": 0.43, "dev_queries": 4,
    "weight_cosine": 30.1, "weight_bm25": 2.5, "queries": 70, "documents": 7000, "sentence": "They teach.",
}  # fmt: skip
"""What sptar_engine.stages.teach.teach_together says: it is examined against the untrained base."""


@pytest.mark.parametrize(
    ("stage", "metrics", "words"),
    [
        ("mine", {"kept": 1200, "queries": 100}, "1,200 hard negatives for 100 questions"),
        ("teach", {"teaches": True, "dev_nDCG@10": 0.52, "dev_nDCG@10_bm25": 0.4}, "orders documents 0.400 → 0.520"),
        ("teach", {"teaches": False}, "does not teach"),
        ("teach", {"teaches": False, "dev_nDCG@10_bm25": 0.4}, "no better than keyword search, so it does not teach"),
        ("teach", HYBRID | {"teaches": False}, "no better than the untrained search model, so it does not teach"),
        ("teach", HYBRID, "orders documents 0.430 → 0.480 (held-out nDCG@10)"),
        ("fuse", {"dev_nDCG@10": 0.45, "dev_nDCG@10_dense": 0.42}, "first ten results 0.420 → 0.450"),
    ],
)
def test_new_stages_say_what_they_came_to(stage: str, metrics: dict[str, Any], words: str) -> None:
    assert words in result_words(stage, metrics)


def test_the_curves_have_a_line_for_each_search_model(make_experiment: Callable[..., Experiment]) -> None:
    experiment = make_experiment(arms=["zero_shot", "sptar"], families=GRID)
    for stage in experiment.stages.filter(stage="train"):
        stage.points.create(step=0, values={"step": 0, "dev_nDCG@10": 0.5})
        stage.points.create(step=5, values={"step": 5, "dev_nDCG@10": 0.6})
    experiment.stages.filter(stage="fuse").update(state=State.DONE, metrics={"sentence": "Put together."})
    drawn = curves.training(stages_of(experiment))
    lines = {one.family: [line.name for line in one.held_out.lines] for one in drawn.charts if one.held_out}
    name = "Tuned question writer (SPTAR)"
    assert lines == {"Bi-encoder": [name], "Late interaction": [name]}
    assert drawn.left_out == ""
    assert drawn.around[-1] == ("Put keyword search and bi-encoder together: SPTAR, hybrid", "Put together.")


def test_no_line_is_dropped_without_a_word(ready: Project, owner: User) -> None:
    arms = ["bm25", "zero_shot", "seeds_only", "inpars", "promptagator", "sptar"]
    settings = {"train": {"negatives": 2}, "teach": {"teacher": "cross_encoder"}}
    experiment = begin(
        ready, owner, arms=arms, families=["bi_encoder", "sparse"], seeds=2, equal_pairs=True, settings=settings
    )
    trainings = [stage for stage in stages_of(experiment) if stage.stage == "train"]
    for stage in trainings:
        stage.points.create(step=0, values={"step": 0, "dev_nDCG@10": 0.5, "loss": 1.0})
    drawn = curves.training(trainings)
    for charts in drawn.charts:
        assert charts.held_out is not None and charts.loss is not None
        assert [len(charts.held_out.lines), len(charts.loss.lines)] == [4, 4]
    assert [charts.family for charts in drawn.charts] == ["Bi-encoder", "Learned sparse"]
    # Of each first training: 4 arms and 3 at equal numbers, of two families, and the teacher of each of the seven.
    assert len(trainings) == 2 * (7 * 2 + 7)
    assert "21 trainings with another seed" in drawn.left_out
    assert "7 trainings for a teacher alone" in drawn.left_out
    assert "6 trainings at equal numbers" in drawn.left_out


def test_a_chart_has_room_for_every_arm_that_trains() -> None:
    assert sum(arm.trains for arm in ARMS.values()) <= MOST_LINES


def test_the_page_of_a_grid_opens_and_its_parts_stay_cheap(
    make_experiment: Callable[..., Experiment], ready: Project, client: Client, django_assert_max_num_queries: Any
) -> None:
    make_experiment({"prepare": "done", "train.sptar/late_interaction": "running"}, families=GRID)
    page = client.get(address(ready, "experiment", 1)).content.decode()
    assert "Tuned question writer (SPTAR): late interaction" in page
    with django_assert_max_num_queries(16):
        client.get(address(ready, "experiment_part", 1, "progress"))


def test_the_form_offers_the_families_with_their_help(ready: Project, client: Client) -> None:
    page = client.get(address(ready, "experiment_new")).content.decode()
    for words in FAMILY_WORDS.values():
        assert words.name in page
    assert page.count('name="families"') == len(FAMILIES)
    assert "Look for hard negatives" in page and "Find hard negatives" in page
    card = client.post(
        address(ready, "experiment_new"), choices(action="look", families=["bi_encoder", "sparse", "hybrid"]),
        headers={"HX-Request": "true"},
    ).content.decode()  # fmt: skip
    assert "sparse autoencoder" in card
    assert "2 trained search models" in card
    assert "put together with keyword search" in card


def test_starting_with_families_from_the_page(ready: Project, client: Client) -> None:
    answer = client.post(address(ready, "experiment_new"), choices(action="start", families=["adapter"]))
    assert answer.status_code == 302
    assert Experiment.objects.get().families == ["adapter"]


def test_the_command_line_takes_families(ready: Project, owner: User) -> None:
    call_command(
        "startexperiment", "--project", ready.slug, "--as", owner.email, "--preset", "fast", "--arm", "sptar",
        "--family", "hybrid", "--json",
    )  # fmt: skip
    assert Experiment.objects.get().families == ["bi_encoder", "hybrid"]


@pytest.mark.parametrize(
    ("stage", "options", "kind"),
    [
        ("train", {}, "train"),
        ("train", {"family": "cross_encoder"}, "train.cross_encoder"),
        ("evaluate", {"retriever": "late_interaction"}, "evaluate.late_interaction"),
        ("teach", {"teacher": "self"}, "teach.self"),
        ("filter", {}, "filter"),
        ("filter", {"method": "round_trip"}, "filter.round_trip"),
        ("mine", {"source": "bm25"}, "mine.bm25"),
        ("mine", {}, "mine"),
        ("fuse", {}, "fuse"),
    ],
)
def test_speeds_are_measured_by_what_does_the_work(stage: str, options: dict[str, Any], kind: str) -> None:
    assert kind_of(stage, build_config(stage, options).as_dict()) == kind


COUNTS = {"documents": 1000, "train": 20, "dev": 10, "test": 20, "train_pairs": 40}


@pytest.mark.parametrize(
    ("stage", "options", "metrics", "expected"),
    [
        ("mine", {}, {}, 1000 + 40),
        ("teach", {"teacher": "cross_encoder", "documents": 8, "rerank_depth": 50}, {}, 40 * 8 + 10 * 50),
        ("teach", {"teacher": "self"}, {}, 1000 + 40 + 10),
        ("fuse", {"dev_pool": 500}, {}, 510),
        ("evaluate", {"retriever": "cross_encoder", "rerank_depth": 50}, {}, 20 * 50),
        ("filter", {"method": "round_trip"}, {"total": 70}, 70 + 1000),
        # 3 · 40 pairs of two texts each, 1 + 1 negatives; one mixture
        ("train", {"epochs": 1, "evaluations": 1, "negatives": 1}, {}, 3 * 40 * 2 + 3 * 1010),
        # a cross-encoder reads four negatives at least, and puts 50 documents of 10 questions in order three times
        ("train", {"family": "cross_encoder", "epochs": 1, "evaluations": 1}, {}, 3 * 40 * 5 + 3 * 10 * 50),
        ("train", {"family": "adapter", "epochs": 9}, {}, 40 + 1010),
    ],
)
def test_the_work_of_the_new_stages(
    stage: str, options: dict[str, Any], metrics: dict[str, int], expected: float
) -> None:
    assert units(stage, build_config(stage, options).as_dict(), COUNTS, metrics=metrics) == expected
