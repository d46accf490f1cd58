"""Search models of several kinds in the playground: which can be tried, and what is said of the others."""

from __future__ import annotations

import pytest
from django.urls import reverse

from webapp.models import Errand, StageRun
from webapp.selectors.playground_choice import choice_of
from webapp.selectors.trained_models import find_model, trained_model, trained_models
from webapp.services import model_indexes

FAMILIES = ("bi_encoder", "late_interaction", "adapter", "hybrid")


@pytest.fixture
def gridded(make_experiment):
    """Experiment 1 with four families, of which three are trained."""
    return make_experiment(families=FAMILIES)


def test_each_family_is_listed_behind_the_bi_encoder(project, gridded) -> None:
    assert [(one.arm, one.can_be_tried) for one in trained_models(project)] == [
        ("sptar", True), ("sptar/late_interaction", False), ("sptar/adapter", True),
        ("seeds_only", True), ("seeds_only/late_interaction", False), ("seeds_only/adapter", True),
    ]  # fmt: skip
    assert trained_models(project)[2].name == "Tuned question writer (SPTAR), adapter, experiment 1"


def test_what_only_teaches_and_first_rounds_are_not_listed(project, make_experiment) -> None:
    negatives = {"train": {"negatives": 2}}
    make_experiment({**negatives, "teach": {"teacher": "cross_encoder"}})
    assert StageRun.objects.filter(step_id="train.sptar/cross_encoder").exists()
    assert [one.arm for one in trained_models(project)] == ["sptar", "seeds_only"]
    make_experiment({**negatives, "teach": {"teacher": "self"}})
    assert StageRun.objects.filter(step_id="train.sptar.first").exists()
    assert [one.stage.step_id for one in trained_models(project)][:2] == ["train.sptar", "train.seeds_only"]


def test_an_adapter_is_tried_like_a_bi_encoder(project, gridded) -> None:
    model = find_model(gridded, "sptar/adapter")
    assert model.after == str(model.folder) == str(trained_model(gridded, "sptar/adapter"))
    assert choice_of(project, {"model": "1.sptar/adapter"}).model == model


def test_another_family_says_that_it_cannot_be_tried_and_where_it_is_compared(client, project, gridded, search) -> None:
    chosen = {"q": "book", "run": "1", "arm": "sptar/late_interaction"}
    content = client.get(reverse("playground", args=[project.slug]), chosen).content.decode()
    assert "A search model of this kind cannot be tried here yet." in content
    assert "/compare/1/?arm=sptar/late_interaction#questions" in content
    assert "Compare blind" not in content
    assert not [retriever for retriever, *_ in search.asked if "train" in retriever]


def test_a_family_that_cannot_be_tried_is_not_compared_blind(client, project, gridded, search) -> None:
    given = {"q": "book", "model": "1.sptar/late_interaction", "against": "base"}
    page = client.post(reverse("playground_blind", args=[project.slug]), given, follow=True).content.decode()
    assert "cannot be tried here yet" in page


def test_only_what_can_be_tried_is_made_ready_by_itself(gridded) -> None:
    assert model_indexes.prepare_packed(experiment=gridded, arm="sptar/late_interaction") is None
    assert model_indexes.prepare_packed(experiment=gridded, arm="sptar/adapter") is not None
    assert Errand.objects.count() == 1


def test_an_experiment_without_a_bi_encoder_is_listed_and_linked(project, make_experiment) -> None:
    experiment = make_experiment(families=("adapter",))
    assert choice_of(project, {}).model == find_model(experiment, "sptar/adapter")
