"""Which trained models there are, and what the search service is asked for."""

from __future__ import annotations

import shutil

import pytest

from sptar_engine.experiment import everywhere
from webapp.models import Experiment, StageRun, State
from webapp.selectors.playground_choice import choice_of
from webapp.selectors.trained_models import NotTrainedError, find_model, trained_model, trained_models


def test_models_are_listed_newest_first_and_the_packed_arm_first(project, make_experiment) -> None:
    make_experiment()
    make_experiment()
    names = [(one.experiment.number, one.arm) for one in trained_models(project)]
    assert names == [(2, "sptar"), (2, "seeds_only"), (1, "sptar"), (1, "seeds_only")]


def test_points_of_a_learning_curve_stand_last(project, make_experiment) -> None:
    make_experiment()
    point = make_experiment()
    Experiment.objects.filter(pk=point.pk).update(series="abc")
    assert [one.experiment.number for one in trained_models(project)] == [1, 1, 2, 2]
    assert choice_of(project, {}).model == trained_models(project)[0]
    assert choice_of(project, {"run": "2"}).model == trained_models(project)[2]


def test_an_address_names_a_model_that_is_not_on_the_list(project, make_experiment, monkeypatch) -> None:
    make_experiment()
    make_experiment()
    monkeypatch.setattr("webapp.selectors.trained_models.LISTED", 2)
    assert [one.experiment.number for one in trained_models(project)] == [2, 2]
    found = choice_of(project, {"run": "1", "arm": "seeds_only"})
    assert found.model is not None and not found.missing
    assert (found.model.experiment.number, found.model.arm) == (1, "seeds_only")
    assert found.models[-1] == found.model  # the menu shows what is chosen
    assert choice_of(project, {"model": "1.sptar"}).values == {"run": "1", "arm": "sptar"}


@pytest.mark.parametrize("run", ["7", "x", "-1", "9" * 30, "²"])
@pytest.mark.parametrize("arm", ["sptar", "bm25", "nonsense"])
def test_an_address_of_a_model_that_there_is_not_is_said(project, make_experiment, run: str, arm: str) -> None:
    make_experiment()
    found = choice_of(project, {"run": run, "arm": arm})
    assert found.missing and found.model == trained_models(project)[0]


def test_of_repeats_the_first_is_taken_which_is_packed(project, make_experiment) -> None:
    make_experiment(seeds=3)
    assert [one.stage.step_id for one in trained_models(project)] == ["train.sptar", "train.seeds_only"]


def test_what_is_not_trained_is_not_listed(project, experiment) -> None:
    StageRun.objects.filter(step_id="train.sptar").update(state=State.RUNNING)
    assert [one.arm for one in trained_models(project)] == ["seeds_only"]


def test_the_list_costs_one_query(project, experiment, django_assert_num_queries) -> None:
    with django_assert_num_queries(1):
        for one in trained_models(project):
            assert one.name
            assert one.searches


def test_searches_are_named_by_base_and_folder(model) -> None:
    assert (model.before, model.after) == ("base", str(model.folder))
    assert model.searches == ["bm25", "base", str(model.folder)]
    assert model.folder.name == "model"


def test_model_reads_as_many_tokens_as_in_its_experiment(make_experiment) -> None:
    length = {"max_length": 128}
    model = find_model(make_experiment({"teach": length, "train": length, "evaluate": length}), "sptar")
    assert (model.before, model.after) == ("base:128", f"{model.folder}:128")


def test_other_base_model_is_named(make_experiment) -> None:
    model = find_model(make_experiment(everywhere(base="facebook/contriever")), "sptar")
    assert model.before == "facebook/contriever"


def test_model_that_kept_the_untrained_weights_needs_no_index_of_its_own(model) -> None:
    model.stage.metrics = {"kept_untrained": True}
    assert model.after == model.before
    assert model.searches == ["bm25", "base"]


def test_folder_is_given_while_it_is_there(experiment, model) -> None:
    assert trained_model(experiment, "sptar") == model.folder
    shutil.rmtree(model.folder)
    with pytest.raises(NotTrainedError, match="no longer on the disk"):
        trained_model(experiment, "sptar")


@pytest.mark.parametrize("arm", ["bm25", "zero_shot", "nonsense", ""])
def test_arm_that_trains_nothing_has_no_model(experiment, arm: str) -> None:
    with pytest.raises(NotTrainedError, match="trains no search model"):
        trained_model(experiment, arm)


def test_arm_that_is_not_trained_yet_says_so(experiment) -> None:
    StageRun.objects.filter(step_id="train.sptar").update(state=State.RUNNING)
    with pytest.raises(NotTrainedError, match="is not trained yet"):
        trained_model(experiment, "sptar")
