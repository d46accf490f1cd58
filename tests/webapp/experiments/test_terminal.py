from __future__ import annotations

from collections.abc import Callable

import pytest

from webapp.models import Experiment, StageRun, State
from webapp.operations import progress
from webapp.operations.progress import SampleView


@pytest.fixture(autouse=True)
def one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test's own, which the view would close."""
    monkeypatch.setattr(progress.connection, "close", lambda: None)


def test_the_terminal_stays_with_the_experiment_that_it_began_with(make_experiment: Callable[..., Experiment]) -> None:
    said: list[str] = []
    first = make_experiment({"prepare": State.RUNNING})
    view = SampleView(first.project, said.append)
    view.look()
    assert said[0].startswith("[1/") and "prepare: running" in said[0]
    second = make_experiment({"prepare": State.CANCELLED})
    Experiment.objects.filter(pk=second.pk).update(state=State.CANCELLED)
    view.look()
    assert len(said) == 1
    StageRun.objects.filter(experiment=first, step_id="prepare").update(state=State.DONE, seconds=3)
    Experiment.objects.filter(pk=first.pk).update(state=State.FAILED)
    view.look()
    assert "prepare: done in 3 s" in said[1]
    assert said[-1] == "The sample experiment has failed; its page says why."
    view.look()
    assert said[-1] == "The sample experiment has failed; its page says why." and len(said) == 3


def test_an_experiment_that_is_deleted_is_followed_no_more(make_experiment: Callable[..., Experiment]) -> None:
    said: list[str] = []
    first = make_experiment({"prepare": State.RUNNING})
    view = SampleView(first.project, said.append)
    view.look()
    first.delete()
    view.look()
    make_experiment({"prepare": State.RUNNING})
    view.look()
    assert len(said) == 1
