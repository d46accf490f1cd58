from __future__ import annotations

import errno
from typing import Any

import pytest

from sptar_engine.arms import STANDARD_ARMS
from sptar_engine.errors import ConfigError
from tests.webapp.experiments.conftest import add_corpus
from webapp.models import Event, Experiment, Project, State, User
from webapp.places import snapshot_folder
from webapp.selectors.estimates import Need
from webapp.selectors.step_facts import is_outdated
from webapp.services import experiments
from webapp.services.experiments import NotReadyError, describe, make_token, repeat, start

CHOICES: dict[str, Any] = {
    "preset": "fast",
    "arms": STANDARD_ARMS,
    "settings": {"tune": {"epochs": 3}},
    "seeds": 2,
    "name": " First ",
    "note": "Why?",
}


def test_starting_plans_every_step_and_queues_the_first(ready: Project, owner: User) -> None:
    experiment = start(project=ready, actor=owner, request_token="t", **CHOICES)
    stages = {stage.step_id: stage for stage in experiment.stages.all()}
    assert (experiment.number, experiment.name, experiment.seeds) == (1, "First", 2)
    assert experiment.counts == {"documents": 40, "train": 10, "dev": 4, "test": 6, "train_pairs": 20, "pool": 29}
    assert snapshot_folder(ready, experiment.dataset).is_dir()
    assert stages["prepare"].state == State.QUEUED
    assert {stage.state for name, stage in stages.items() if name != "prepare"} == {State.WAITING}
    assert stages["tune"].config["epochs"] == 3
    assert stages["train.sptar.2"].inputs == {"prepare": "prepare", "filter": "filter.sptar"}
    assert Event.objects.get(verb="experiment.started").facts["experiment"] == 1


def test_models_go_to_one_queue_and_the_rest_to_the_other(ready: Project, owner: User) -> None:
    experiment = start(project=ready, actor=owner, request_token="t", **CHOICES)
    queues = {stage.step_id: stage.queue for stage in experiment.stages.all()}
    light = {name for name, queue in queues.items() if queue == "cpu"}
    assert light == {"prepare", "evaluate.bm25", "filter.inpars", "filter.sptar", "package.sptar"}


def test_the_same_request_twice_is_one_experiment(ready: Project, owner: User) -> None:
    first = start(project=ready, actor=owner, request_token="t", **CHOICES)
    assert start(project=ready, actor=owner, request_token="t", **CHOICES) == first
    assert Experiment.objects.count() == 1
    assert first.stages.count() == 23


def test_two_equal_requests_at_the_same_moment_are_one_experiment(
    ready: Project, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = start(project=ready, actor=owner, request_token="t", **CHOICES)
    found = experiments.find
    looks: list[Experiment | None] = []

    def look(*arguments: Any) -> Experiment | None:
        """At its first look the second request sees nothing: the first one has not committed yet."""
        looks.append(None if not looks else found(*arguments))
        return looks[-1]

    monkeypatch.setattr(experiments, "find", look)
    assert start(project=ready, actor=owner, request_token="t", **CHOICES) == first
    assert looks == [None, first]
    assert Experiment.objects.count() == 1


def test_equal_choices_from_two_tabs_have_one_token() -> None:
    assert make_token(3, "fast", ["sptar"]) == make_token(3, "fast", ["sptar"])
    assert make_token(3, "fast", ["sptar"]) != make_token(4, "fast", ["sptar"])
    assert make_token(3, "fast", ["sptar"]) != make_token(3, "balanced", ["sptar"])


def test_another_request_is_another_experiment(ready: Project, owner: User) -> None:
    start(project=ready, actor=owner, request_token="t", **CHOICES)
    assert start(project=ready, actor=owner, request_token="u", **CHOICES).number == 2


def test_too_few_examples_say_how_many_more(ready: Project, owner: User) -> None:
    ready.queries.filter(query_id__in=["q0", "q1", "q2", "q3"]).delete()
    with pytest.raises(NotReadyError, match="6 training examples and 8 are the least: 2 more needed"):
        start(project=ready, actor=owner, request_token="t", **CHOICES)
    assert not Experiment.objects.exists()


@pytest.mark.parametrize(("split", "words"), [("dev", "held-out"), ("test", "no test example")])
def test_each_split_is_needed(ready: Project, owner: User, split: str, words: str) -> None:
    ready.queries.filter(split=split).delete()
    with pytest.raises(NotReadyError, match=words):
        start(project=ready, actor=owner, request_token="t", **CHOICES)


def test_judgements_of_removed_documents_are_named_as_the_reason(ready: Project, owner: User) -> None:
    add_corpus(ready, number=2, documents=3)
    with pytest.raises(NotReadyError, match="judgements are of documents that this version does not have"):
        start(project=ready, actor=owner, request_token="t", **CHOICES)


def test_without_documents_nothing_starts(project: Project, owner: User) -> None:
    with pytest.raises(NotReadyError, match="no documents"):
        start(project=project, actor=owner, request_token="t", **CHOICES)


def test_a_setting_out_of_range_starts_nothing(ready: Project, owner: User) -> None:
    with pytest.raises(ConfigError, match=r"filter\.top_k"):
        start(project=ready, actor=owner, request_token="t", **(CHOICES | {"settings": {"filter": {"top_k": 0}}}))
    assert not Experiment.objects.exists()


def test_a_full_disk_is_said_before_the_start(ready: Project, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    class Tight:
        disk = Need(needed=5_000_000_000, free=1_000_000_000)

    monkeypatch.setattr(experiments.estimates, "estimate", lambda *args: Tight)
    with pytest.raises(NotReadyError, match=r"1\.0 GB free and about 5\.0 GB are needed"):
        start(project=ready, actor=owner, request_token="t", **CHOICES)


def test_a_disk_that_is_full_already_is_a_sentence(
    ready: Project, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(project: Project) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(experiments.snapshots, "take", full)
    with pytest.raises(NotReadyError, match="disk is full"):
        start(project=ready, actor=owner, request_token="t", **CHOICES)


def test_repeating_takes_the_same_data_and_settings(ready: Project, owner: User) -> None:
    first = start(project=ready, actor=owner, request_token="t", **CHOICES)
    ready.labels_version += 1
    ready.save()
    add_corpus(ready, number=2, documents=50)
    again = repeat(experiment=first, actor=owner, request_token="again")
    same = ("dataset", "settings", "arms", "seeds", "corpus_id", "labels_version", "counts", "preset")
    assert [getattr(again, name) for name in same] == [getattr(first, name) for name in same]
    assert (again.number, again.repeat_of) == (2, first)
    assert again.stages.count() == first.stages.count()
    assert repeat(experiment=first, actor=owner, request_token="again") == again


def test_data_that_is_gone_cannot_be_repeated(done_experiment: Experiment, owner: User) -> None:
    with pytest.raises(NotReadyError, match="not on disk"):
        repeat(experiment=done_experiment, actor=owner, request_token="again")


def test_name_and_note_can_change(done_experiment: Experiment, owner: User) -> None:
    describe(experiment=done_experiment, actor=owner, name=" Better ", note="More")
    done_experiment.refresh_from_db()
    assert (done_experiment.name, done_experiment.note) == ("Better", "More")
    assert Event.objects.filter(verb="experiment.described").exists()


def test_examples_changed_during_the_start_make_it_out_of_date(
    ready: Project, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = experiments.snapshots.take

    def change_then_take(project: Project) -> Any:
        Project.objects.update(labels_version=7)
        return take(project)

    monkeypatch.setattr(experiments.snapshots, "take", change_then_take)
    experiment = start(project=ready, actor=owner, request_token="t", **CHOICES)
    ready.refresh_from_db()
    assert experiment.labels_version == 1
    assert is_outdated(experiment, ready)
