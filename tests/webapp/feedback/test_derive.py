"""Experiments that change another one in one respect."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sptar_engine.errors import ConfigError
from webapp.models import Event, Experiment, State, User, WeakQuery
from webapp.places import decisions_file
from webapp.selectors.recipes import command_of
from webapp.services import derive, experiments
from webapp.services.experiments import NotReadyError

pytestmark = pytest.mark.django_db
Say = Callable[..., WeakQuery]
SAME = ("dataset", "corpus_id", "labels_version", "preset", "seeds", "machine")


def inputs(experiment: Experiment) -> dict[str, dict[str, str]]:
    return {stage.step_id: stage.inputs for stage in experiment.stages.all()}


def review(experiment: Experiment, actor: User, request: str = "t") -> Experiment:
    return derive.with_verdicts(experiment=experiment, actor=actor, request_token=request)


class TestVerdicts:
    def test_they_take_part_in_the_training_of_the_arm_that_was_read_and_of_no_other(
        self, written: Experiment, owner: User, say: Say
    ) -> None:
        Experiment.objects.filter(pk=written.pk).update(machine={"device": "cpu", "dtype": "bfloat16", "threads": 2})
        written.refresh_from_db()
        say("w0", "reject")
        made = review(written, owner)
        assert [getattr(made, name) for name in SAME] == [getattr(written, name) for name in SAME]
        assert (made.based_on, made.change, made.decision_counts) == (written, "review", {"reject": 1})
        assert decisions_file(made.project, made.decisions).is_file()
        found = inputs(made)
        given = {"prepare": "prepare", "filter": "filter.sptar", "decisions": "decisions"}
        assert found.pop("teach.sptar") == given
        assert found.pop("train.sptar") == given | {"teach": "teach.sptar"}
        before = inputs(written)
        assert found == {step_id: before[step_id] for step_id in found}
        assert made.stages.get(step_id="prepare").state == State.QUEUED
        assert Event.objects.filter(verb="experiment.reviewed", facts__experiment=made.number).exists()

    def test_a_second_click_gives_the_same_experiment(self, written: Experiment, owner: User, say: Say) -> None:
        say("w0", "reject")
        assert review(written, owner) == review(written, owner)
        assert review(written, owner, "u").number == 3

    def test_without_verdicts_nothing_starts(self, written: Experiment, owner: User) -> None:
        with pytest.raises(NotReadyError, match="no verdict yet"):
            review(written, owner)
        assert Experiment.objects.count() == 1

    def test_without_filtered_questions_nothing_starts(self, written: Experiment, owner: User) -> None:
        written.stages.filter(stage="filter").update(state=State.RUNNING)
        with pytest.raises(NotReadyError, match="not written and filtered yet"):
            review(written, owner)

    def test_data_that_is_gone_is_said(self, written: Experiment, owner: User, say: Say) -> None:
        say("w0", "reject")
        Experiment.objects.filter(pk=written.pk).update(dataset="gone")
        written.refresh_from_db()
        with pytest.raises(NotReadyError, match="not on disk"):
            review(written, owner)

    def test_repeating_keeps_the_verdicts_as_they_were(self, written: Experiment, owner: User, say: Say) -> None:
        say("w0", "reject")
        made = review(written, owner)
        say("w1", "reject")
        again = experiments.repeat(experiment=made, actor=owner, request_token="again")
        kept = ("decisions", "decision_counts", "based_on", "change", "name")
        assert [getattr(again, name) for name in kept] == [getattr(made, name) for name in kept]
        assert inputs(again) == inputs(made)
        assert again.repeat_of == made

    def test_repeating_says_when_the_verdicts_are_gone(self, written: Experiment, owner: User, say: Say) -> None:
        say("w0", "reject")
        made = review(written, owner)
        decisions_file(made.project, made.decisions).unlink()
        with pytest.raises(NotReadyError, match="not on disk"):
            experiments.repeat(experiment=made, actor=owner, request_token="again")

    def test_an_experiment_with_a_long_name_gets_one_that_fits(
        self, written: Experiment, owner: User, say: Say
    ) -> None:
        say("w0", "reject")
        written.name = "x" * 100
        written.save()
        made = review(written, owner)
        assert len(made.name) == 100 and made.name.endswith("x, with verdicts")


class TestThreshold:
    def start(self, written: Experiment, owner: User, k: int, request: str = "t") -> Experiment:
        return derive.with_threshold(experiment=written, actor=owner, request_token=request, top_k=k)

    def test_it_changes_the_filter_alone(self, written: Experiment, owner: User) -> None:
        made = self.start(written, owner, 5)
        assert (made.based_on, made.change, made.decisions) == (written, "threshold", "")
        assert made.settings == {**written.settings, "filter": {"top_k": 5}}
        before = {stage.step_id: stage.config for stage in written.stages.all()}
        changed = [stage.step_id for stage in made.stages.all() if stage.config != before[stage.step_id]]
        assert sorted(changed) == ["filter.inpars", "filter.sptar"]
        assert inputs(made) == inputs(written)

    def test_verdicts_that_took_part_stay(self, written: Experiment, owner: User, say: Say) -> None:
        say("w0", "reject")
        reviewed = review(written, owner)
        made = self.start(reviewed, owner, 5, "u")
        assert (made.decisions, made.decision_counts) == (reviewed.decisions, {"reject": 1})
        assert inputs(made) == inputs(reviewed)

    def test_the_same_threshold_starts_nothing(self, written: Experiment, owner: User) -> None:
        with pytest.raises(NotReadyError, match="threshold 30 already"):
            self.start(written, owner, 30)

    @pytest.mark.parametrize("method", ["round_trip", "likelihood"])
    def test_where_keyword_search_decides_nothing_there_is_none_to_change(
        self, written: Experiment, owner: User, method: str
    ) -> None:
        for row in written.stages.filter(stage="filter"):
            row.config["method"] = method
            row.save()
        with pytest.raises(NotReadyError, match="Keyword search filters no questions"):
            self.start(written, owner, 5)

    def test_an_arm_with_a_filter_of_its_own_keeps_it(self, written: Experiment, owner: User) -> None:
        own = written.stages.get(step_id="filter.inpars")
        own.config |= {"method": "round_trip", "top_k": 1}  # as promptagator has it
        own.save()
        with pytest.raises(NotReadyError, match="would hold for all of them"):
            self.start(written, owner, 5)
        assert Experiment.objects.count() == 1

    def test_one_beyond_the_depth_starts_nothing(self, written: Experiment, owner: User) -> None:
        with pytest.raises(ConfigError, match=r"filter\.top_k"):
            self.start(written, owner, 101)
        assert Experiment.objects.count() == 1


class TestLearningCurve:
    def start(
        self, written: Experiment, owner: User, *sizes: int, request: str = "t", arm: str = "sptar"
    ) -> list[Experiment]:
        return derive.learning_curve(
            experiment=written, actor=owner, request_token=request, arm=arm, sizes=sizes, seeds=2
        )

    @pytest.fixture
    def large(self, written: Experiment) -> Experiment:
        """With 40 training examples of 80 pairs."""
        Experiment.objects.filter(pk=written.pk).update(counts={**written.counts, "train": 40, "train_pairs": 80})
        written.refresh_from_db()
        return written

    @pytest.mark.parametrize(
        ("train", "sizes"), [(0, []), (10, [10]), (11, [10, 11]), (30, [10, 20, 30]), (200, [10, 20, 30, 50, 200])]
    )
    def test_the_standard_sizes_below_what_there_is_and_all_of_it(
        self, written: Experiment, train: int, sizes: list[int]
    ) -> None:
        written.counts["train"] = train
        assert derive.curve_sizes(written) == sizes

    def test_an_experiment_that_used_fewer_than_there_were_has_no_more(self, large: Experiment) -> None:
        large.settings["prepare"] = {"train_queries": 25}
        assert derive.curve_sizes(large) == [10, 20, 25]
        assert derive.curve_settings(large, 25)["prepare"] == {"train_queries": 25}

    def test_each_size_is_an_experiment_of_one_series(self, large: Experiment, owner: User) -> None:
        made = self.start(large, owner, 10, 20, 40)
        assert [one.counts["train"] for one in made] == [10, 20, 40]
        assert [one.counts["train_pairs"] for one in made] == [20, 40, 80]
        limits = [one.stages.get(stage="prepare").config["train_queries"] for one in made]
        assert limits == [10, 20, 0]  # all: the very steps of the experiment, so that its results come back
        assert len({one.series for one in made}) == 1 and made[0].series
        assert {tuple(one.arms) for one in made} == {("zero_shot", "sptar")}
        assert {(one.change, one.based_on_id, one.seeds, one.dataset) for one in made} == {
            ("seeds", large.pk, 2, large.dataset)
        }

    def test_a_second_click_gives_the_same_series(self, large: Experiment, owner: User) -> None:
        assert self.start(large, owner, 10, 40) == self.start(large, owner, 10, 40)
        assert self.start(large, owner, 10, 40, request="u")[0].series != self.start(large, owner, 10, 40)[0].series

    @pytest.mark.parametrize("sizes", [(), (10,), (10, 50), (10, 11)])
    def test_sizes_that_there_are_not_start_nothing(
        self, large: Experiment, owner: User, sizes: tuple[int, ...]
    ) -> None:
        with pytest.raises(NotReadyError, match="at least two numbers"):
            self.start(large, owner, *sizes)
        assert Experiment.objects.count() == 1

    def test_an_arm_that_it_lacks_starts_nothing(self, large: Experiment, owner: User) -> None:
        with pytest.raises(NotReadyError, match="no such way"):
            self.start(large, owner, 10, 40, arm="colbert")


def test_the_command_of_an_experiment_names_its_verdicts(written: Experiment, owner: User, say: Say) -> None:
    say("w0", "reject")
    made = review(written, owner)
    name = f"projects/{made.project.slug}/decisions/{made.decisions}.jsonl"
    assert f"--decisions {name}" in command_of(made)
    assert "--decisions" not in command_of(written)
