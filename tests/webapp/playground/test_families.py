"""Search models of several kinds in the playground: which are offered, and how each of them searches."""

from __future__ import annotations

import pytest
from django.urls import reverse

from webapp.models import Errand, Experiment, StageRun, State
from webapp.places import store_folder
from webapp.selectors.playground_choice import choice_of
from webapp.selectors.playground_searches import searches_of
from webapp.selectors.trained_models import NotTrainedError, find_model, trained_model, trained_models
from webapp.services import model_indexes

FAMILIES = ("bi_encoder", "late_interaction", "adapter", "hybrid")


@pytest.fixture
def gridded(make_experiment):
    """Experiment 1 with four families, of which three are trained and the hybrid is made of one of these."""
    return make_experiment(families=FAMILIES)


def test_each_family_is_listed_behind_the_bi_encoder(project, gridded) -> None:
    assert [(one.arm, one.reads) for one in trained_models(project)] == [
        ("sptar", False), ("sptar/late_interaction", True), ("sptar/adapter", False), ("sptar/hybrid", False),
        ("seeds_only", False), ("seeds_only/late_interaction", True), ("seeds_only/adapter", False),
        ("seeds_only/hybrid", False),
    ]  # fmt: skip
    assert trained_models(project)[2].name == "Tuned question writer (SPTAR), adapter, experiment 1"


@pytest.fixture
def fused(project, gridded):
    """The hybrids of experiment 1, whose files are there."""
    for step in gridded.stages.filter(stage="fuse"):
        (store_folder(project) / "stages" / step.folder).mkdir()
    return gridded


def test_a_hybrid_stands_beside_the_untrained_hybrid(project, fused) -> None:
    plain, hybrid = (find_model(fused, arm) for arm in ("sptar", "sptar/hybrid"))
    assert (hybrid.family, hybrid.stage, hybrid.searches) == ("hybrid", plain.stage, plain.searches)
    assert hybrid.name == "Tuned question writer (SPTAR), hybrid, experiment 1"
    asked = searches_of(hybrid)
    for key, step, retriever in (("after", "sptar", plain.after), ("before", "zero_shot", plain.before)):
        folder = store_folder(project) / "stages" / fused.stages.get(step_id=f"fuse.{step}/hybrid").folder
        assert asked[key] == {"retriever": retriever, "begin": False, "fusion": str(folder), "k1": 0.9, "b": 0.4}
    assert choice_of(project, {"model": "1.sptar/hybrid"}).model == hybrid == trained_models(project)[3]


def test_a_hybrid_whose_files_are_gone_is_missing(project, gridded) -> None:
    asked = searches_of(find_model(gridded, "sptar/hybrid"))
    assert asked["before"] is asked["after"] is None
    assert searches_of(find_model(gridded, "sptar"))["after"] is not None


def test_page_asks_for_a_hybrid_and_says_what_it_is(client, project, fused, search) -> None:
    page = client.get(reverse("playground", args=[project.slug]), {"q": "book", "run": "1", "arm": "sptar/hybrid"})
    content = page.content.decode()
    assert "keywords and the search model that learned from your examples, put together" in content
    assert "keywords and the search model as it came, put together" in content
    assert "Rule 7" in content and "Rule 9" not in content


def test_a_hybrid_of_an_untrained_model_is_the_untrained_hybrid(fused) -> None:
    fused.stages.filter(step_id="train.sptar").update(metrics={"kept_untrained": True})
    hybrid = find_model(fused, "sptar/hybrid")
    asked = searches_of(hybrid)
    assert hybrid.searches_as_before and asked["before"] == asked["after"]


def test_a_hybrid_that_is_not_put_together_yet_is_not_offered(project, gridded) -> None:
    gridded.stages.filter(step_id="fuse.sptar/hybrid").update(state=State.RUNNING)
    assert "sptar/hybrid" not in [one.arm for one in trained_models(project)]
    with pytest.raises(NotTrainedError, match="not trained yet"):
        find_model(gridded, "sptar/hybrid")


def test_a_hybrid_without_an_untrained_one_is_not_offered(project, gridded) -> None:
    gridded.stages.filter(step_id="fuse.zero_shot/hybrid").delete()
    assert "sptar/hybrid" not in [one.arm for one in trained_models(project)]
    with pytest.raises(NotTrainedError, match="no untrained hybrid to stand beside"):
        find_model(gridded, "sptar/hybrid")


def test_hybrids_of_shared_trainings_and_variants_are_found(project, make_experiment) -> None:
    asked = {"select": {"examples": 8, "instruction": "Write."}, "filter": {"method": "round_trip", "top_k": 1}}
    made = make_experiment(
        families=("bi_encoder", "hybrid"), arms=("inpars", "promptagator"), asked=asked, equal_pairs=True
    )
    for arm, step in (("promptagator/hybrid", "inpars"), ("inpars/hybrid:equal_pairs", "inpars:equal_pairs")):
        found = find_model(made, arm)
        assert found.fusion is not None and found.fusion.inputs["train"] == found.stage.step_id == f"train.{step}"
        assert found.fusion_before == made.stages.get(step_id="fuse.zero_shot/hybrid")
    assert [one.arm for one in trained_models(project)] == [
        "promptagator", "promptagator/hybrid", "inpars", "inpars/hybrid",
    ]  # fmt: skip


def test_what_only_teaches_and_first_rounds_are_not_listed(project, make_experiment) -> None:
    negatives = {"train": {"negatives": 2}}
    make_experiment({**negatives, "teach": {"teacher": "cross_encoder"}})
    assert StageRun.objects.filter(step_id="train.sptar/cross_encoder").exists()
    assert [one.arm for one in trained_models(project)] == ["sptar", "seeds_only"]
    make_experiment({**negatives, "teach": {"teacher": "self"}})
    assert StageRun.objects.filter(step_id="train.sptar.first").exists()
    assert [one.stage.step_id for one in trained_models(project)][:2] == ["train.sptar", "train.seeds_only"]


def test_no_repeat_variant_or_first_round_takes_the_place_of_a_result(project, make_experiment, monkeypatch) -> None:
    monkeypatch.setattr("webapp.selectors.trained_models.LISTED", 4)
    made = make_experiment(
        {"train": {"negatives": 2}, "teach": {"teacher": "self"}}, seeds=5, families=("bi_encoder", "late_interaction"),
        arms=("inpars", "sptar"), equal_pairs=True,
    )  # fmt: skip
    assert made.stages.filter(stage="train").count() == 80
    assert [one.stage.step_id for one in trained_models(project)] == [
        "train.sptar", "train.sptar/late_interaction", "train.inpars", "train.inpars/late_interaction",
    ]  # fmt: skip
    assert find_model(made, "inpars:equal_pairs").stage.step_id == "train.inpars:equal_pairs"


def test_a_training_that_two_arms_share_is_the_model_of_each(project, make_experiment) -> None:
    asked = {"select": {"examples": 8, "instruction": "Write."}, "filter": {"method": "round_trip", "top_k": 1}}
    made = make_experiment(
        families=("bi_encoder", "adapter"), seeds=2, arms=("seeds_only", "inpars", "promptagator"), asked=asked
    )
    assert made.stages.get(step_id="train.inpars").arms == ["inpars", "promptagator"]
    assert [(one.arm, one.stage.step_id) for one in trained_models(project)] == [
        ("promptagator", "train.inpars"), ("promptagator/adapter", "train.inpars/adapter"),
        ("inpars", "train.inpars"), ("inpars/adapter", "train.inpars/adapter"),
        ("seeds_only", "train.seeds_only"), ("seeds_only/adapter", "train.seeds_only/adapter"),
    ]  # fmt: skip
    model = find_model(made, "promptagator/adapter")
    assert (model.arm, model.stage.step_id) == ("promptagator/adapter", "train.inpars/adapter")
    assert model.name == "Described task (Promptagator), adapter, experiment 1"
    chosen = choice_of(project, {"run": "1", "arm": "promptagator"})
    assert not chosen.missing and chosen.values == {"run": "1", "arm": "promptagator"}
    errand = model_indexes.prepare_packed(experiment=made, arm="promptagator")
    assert errand is not None and errand.subject == model_of(made, "train.inpars")


@pytest.mark.parametrize("name", ["sptar/", "sptar/bi_encoder", "sptar.2", "sptar/sparse", "sptar:equal_pairs"])
def test_a_name_that_no_cell_has_names_no_model(gridded, name: str) -> None:
    with pytest.raises(NotTrainedError):
        find_model(gridded, name)


def model_of(experiment: Experiment, step_id: str) -> int:
    return experiment.stages.get(step_id=step_id).pk


def test_an_adapter_is_tried_like_a_bi_encoder(project, gridded) -> None:
    model = find_model(gridded, "sptar/adapter")
    assert model.after == str(model.folder) == str(trained_model(gridded, "sptar/adapter"))
    assert choice_of(project, {"model": "1.sptar/adapter"}).model == model


def test_a_family_without_vectors_puts_the_hits_of_keyword_search_in_order(client, project, gridded, search) -> None:
    model = find_model(gridded, "sptar/late_interaction")
    assert model.searches == ["bm25", "base", str(model.folder)]
    chosen = {"q": "book", "run": "1", "arm": "sptar/late_interaction"}
    content = client.get(reverse("playground", args=[project.slug]), chosen).content.decode()
    assert "puts the first 50 documents that keywords find in order" in content
    assert "Compare blind" in content
    assert (str(model.folder), "book", False) in search.asked


def test_untrained_weights_in_another_kind_of_model_are_another_search(client, project, gridded, search) -> None:
    StageRun.objects.filter(stage="train").update(metrics={"kept_untrained": True})
    late, adapter = (find_model(gridded, f"sptar/{family}") for family in ("late_interaction", "adapter"))
    assert (late.searches_as_before, late.after) == (False, str(late.folder))
    assert (adapter.searches_as_before, adapter.after) == (True, "base")
    page = reverse("playground", args=[project.slug])
    same = "both columns are the same"
    assert same not in client.get(page, {"q": "book", "run": "1", "arm": late.arm}).content.decode()
    assert same in client.get(page, {"q": "book", "run": "1", "arm": adapter.arm}).content.decode()


def test_every_family_can_be_compared_blind(client, project, gridded, search) -> None:
    given = {"q": "book", "model": "1.sptar/late_interaction", "against": "base"}
    page = client.post(reverse("playground_blind", args=[project.slug]), given, follow=True).content.decode()
    assert "Which list answers this question better?" in page


def test_every_packed_model_is_made_ready_by_itself(gridded) -> None:
    for arm in ("sptar/late_interaction", "sptar/adapter"):
        assert model_indexes.prepare_packed(experiment=gridded, arm=arm) is not None
    assert Errand.objects.count() == 2


def test_an_experiment_without_a_bi_encoder_is_listed_and_linked(project, make_experiment) -> None:
    experiment = make_experiment(families=("adapter",))
    assert choice_of(project, {}).model == find_model(experiment, "sptar/adapter")


def test_a_cross_encoder_is_asked_with_the_keyword_search_it_was_measured_with(project, make_experiment) -> None:
    words = {stage: {"k1": 1.4, "b": 0.6} for stage in ("train", "evaluate", "teach", "fuse")}
    made = make_experiment(words, families=["cross_encoder"])
    asked = searches_of(find_model(made, "sptar/cross_encoder"))
    assert (asked["after"]["k1"], asked["after"]["b"]) == (1.4, 0.6)
    assert "k1" not in asked["before"]
