"""Making a trained model ready to try: asked for by a person, or when its experiment has packed it."""

from __future__ import annotations

from typing import Any

import pytest

from sptar_engine.errors import Cancelled, StageError
from webapp.errands import KINDS, model_index
from webapp.jobs.attempt import Attempt, Stop
from webapp.models import Corpus, Errand, Event, StageRun, State
from webapp.search import client, following
from webapp.services import model_indexes


@pytest.fixture
def attempt(project, model) -> Attempt:
    """A claimed errand."""
    row = Errand.objects.create(
        kind="model.index", project=project, subject=model.stage.pk, state=State.QUEUED, attempt=1
    )
    claimed = Attempt.claim(Errand, row.pk, 1)
    assert claimed is not None
    return claimed


class Builds:
    """The search service's builds: `says` are the states of each, one after the other."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[tuple[str, str]] = []
        self.says: dict[str, list[str]] = {}
        monkeypatch.setattr(following, "PAUSE", 0)
        for name in ("prepare", "build_of", "stop_building"):
            monkeypatch.setattr(client, name, self._answer(name))

    def _answer(self, name: str) -> Any:
        def answer(corpus: Corpus, what: str) -> client.Build:
            self.asked.append((name, what))
            states = self.says.get(what, ["ready"])
            state = states.pop(0) if len(states) > 1 else states[0]
            return client.Build(what, state, 3, 20, "Encoding the documents")

        return answer


@pytest.fixture
def builds(monkeypatch) -> Builds:
    return Builds(monkeypatch)


def test_kind_is_registered() -> None:
    assert KINDS[model_indexes.KIND] == "webapp.errands.model_index"


def test_untrained_and_trained_model_are_made_ready_in_turn(attempt, model, builds) -> None:
    builds.says[model.after] = ["building", "building", "ready"]
    assert model_index.run(attempt.row, attempt) == {"documents": 20}
    assert builds.asked == [
        ("prepare", "bm25"), ("prepare", "base"), ("prepare", model.after), ("build_of", model.after),
        ("build_of", model.after),
    ]  # fmt: skip
    attempt.flush()
    row = Errand.objects.get()
    assert (row.done, row.total, row.message) == (3, 20, "Encoding the documents")


def test_model_that_cannot_be_read_is_a_sentence(attempt, model, builds) -> None:
    builds.says[model.after] = ["failed"]
    with pytest.raises(StageError, match="Encoding the documents"):
        model_index.run(attempt.row, attempt)


def test_calling_it_off_stops_what_is_being_built(attempt, model, builds, monkeypatch) -> None:
    builds.says[model.after] = ["building"]

    def tick(*report: object) -> None:
        attempt.stop = Stop.CANCEL
        raise Cancelled("off")

    monkeypatch.setattr(attempt, "tick", tick)
    with pytest.raises(Cancelled):
        model_index.run(attempt.row, attempt)
    assert builds.asked[-1] == ("stop_building", model.after)


@pytest.mark.parametrize("gone", ["stage", "documents"])
def test_nothing_is_done_for_what_is_gone(attempt, model, builds, project, gone: str) -> None:
    if gone == "stage":
        StageRun.objects.filter(pk=model.stage.pk).update(state=State.WAITING, folder="")
    else:
        project.corpus = None
        project.save()
    assert model_index.run(attempt.row, attempt) == {}
    assert builds.asked == []


def test_asking_twice_is_one_errand_and_one_event(model, owner) -> None:
    first = model_indexes.prepare(found=model, actor=owner)
    assert model_indexes.prepare(found=model, actor=owner).pk == first.pk
    assert Event.objects.get(verb="experiment.model_prepared").facts == {
        "experiment": 1, "model": "Tuned question writer (SPTAR)",
    }  # fmt: skip


def test_packed_model_is_made_ready_by_itself(experiment, model) -> None:
    errand = model_indexes.prepare_packed(experiment=experiment, arm="sptar")
    assert errand is not None
    assert (errand.kind, errand.subject, errand.asked_by) == ("model.index", model.stage.pk, None)


@pytest.mark.parametrize("change", [{"documents": 20_001}, {"sha256": ""}])
def test_what_takes_long_is_left_until_somebody_asks(experiment, corpus, change) -> None:
    Corpus.objects.filter(pk=corpus.pk).update(**change)
    experiment.refresh_from_db()
    experiment.project.refresh_from_db()
    assert model_indexes.prepare_packed(experiment=experiment, arm="sptar") is None
    assert not Errand.objects.exists()


def test_point_of_a_learning_curve_is_left_until_somebody_asks(experiment, model) -> None:
    experiment.series = "abc"
    assert model_indexes.prepare_packed(experiment=experiment, arm="sptar") is None
    assert not Errand.objects.exists()


def test_arm_without_a_model_is_left_alone(experiment) -> None:
    assert model_indexes.prepare_packed(experiment=experiment, arm="bm25") is None


def test_folder_that_holds_no_model_is_left_alone(experiment, model) -> None:
    (model.folder / "modules.json").unlink()
    assert model_indexes.prepare_packed(experiment=experiment, arm="sptar") is None
