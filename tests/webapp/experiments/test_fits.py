"""What does not fit the data or the base model is said at the form and refused at the start, in one sentence."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests.webapp.experiments.test_equal_pairs import begin
from tests.webapp.experiments.test_views import HTMX, address, choices
from webapp.models import Experiment, Project, User
from webapp.planning import steps_of
from webapp.selectors import fits

SIZE = 384  # dimensions of the bundled base model


@pytest.fixture(autouse=True)
def base_of_known_size(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The base model is a folder whose settings say its size, and nothing else."""
    (tmp_path / "config.json").write_text(f'{{"hidden_size": {SIZE}}}')
    monkeypatch.setattr(fits, "encoder_folder", lambda name, models: tmp_path)


@pytest.mark.parametrize(
    ("family", "option", "value", "words"),
    [
        ("adapter", "adapter_rank", "385", "adapter rank: 385 is too much for the base; at most its 384 dimensions"),
        ("late_interaction", "token_dimensions", "385", "token dimensions: 385 is too much for the base"),
        ("bi_encoder", "matryoshka", "384", "matryoshka: 384 is too much for the base; fewer than its 384 dimensions"),
    ],
)
def test_more_dimensions_than_the_base_has_are_refused_before_the_start(
    ready: Project, owner: User, client: Client, family: str, option: str, value: str, words: str
) -> None:
    asked = choices(families=[family], **{f"train-{option}": value})
    card = client.post(address(ready, "experiment_new"), {**asked, "action": "look"}, **HTMX).content.decode()
    assert words in card
    page = client.post(address(ready, "experiment_new"), {**asked, "action": "start"}).content.decode()
    assert words in page
    assert not Experiment.objects.exists()


def test_as_many_dimensions_as_the_base_has_are_allowed(ready: Project, owner: User) -> None:
    settings = {"train": {"adapter_rank": SIZE}}
    assert begin(ready, owner, families=["adapter"], settings=settings).number == 1


def test_documents_that_all_have_a_training_label_leave_nothing_to_write_for(ready: Project, owner: User) -> None:
    number = begin(ready, owner).number
    counts = Experiment.objects.get(number=number).counts
    assert (counts["documents"], counts["pool"]) == (40, 29)  # of the first 11 each is an answer or its neighbour
    steps = steps_of(preset="fast", arms=["sptar"], families=["bi_encoder"], settings={}, seeds=1)
    assert fits.misfit(steps, counts) == ""
    assert fits.misfit(steps, {**counts, "pool": 0}).startswith("Every document has a training label")
    assert any("have no training label" in one for one in fits.warnings_of(steps, {**counts, "pool": 9}))


def test_a_plan_that_works_but_not_as_one_might_think_is_warned_of(ready: Project, client: Client) -> None:
    asked = choices(families=["cross_encoder"], action="look")
    card = client.post(address(ready, "experiment_new"), asked, **HTMX).content.decode()
    assert "With 40 documents" in card and "puts the whole collection in order" in card.replace("\n", " ")
