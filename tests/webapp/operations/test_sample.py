"""The sample project: one for each person, by the way of an upload, through a stop and a new start."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.webapp.operations.machines import Machine
from tests.webapp.operations.started import Up, free_port
from webapp.models import Errand, Role, User
from webapp.services import sample

FAKE_STAGES = "tests.webapp.jobs.process_settings"


@pytest.mark.django_db
def test_asking_twice_makes_one_project(owner: User, stranger: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webapp.services.queueing.enqueue", lambda work: True)
    first = sample.load(owner)
    assert sample.load(owner) == first
    assert first.is_sample
    assert first.memberships.get().role == Role.OWNER
    assert list(Errand.objects.values_list("kind", "subject", "asked_by")) == [(sample.LOAD, first.pk, owner.pk)]
    assert sample.load(stranger) != first


@pytest.mark.django_db
def test_a_deleted_sample_is_made_anew(owner: User) -> None:
    first = sample.load(owner)
    first.deleted = first.created
    first.save()
    assert sample.load(owner) != first


@pytest.mark.processes
def test_the_sample_goes_on_after_a_stop_and_ends_with_its_arms() -> None:
    with tempfile.TemporaryDirectory(prefix="up-") as folder:
        variables = {"PORT": str(free_port()), "DJANGO_SETTINGS_MODULE": FAKE_STAGES}
        machine = Machine(Path(folder) / "data", variables)
        control = machine.data / "control"
        control.mkdir(parents=True)
        (control / "hold").touch()
        first = Up(machine, "--sample")
        first.wait(lambda: "prepare: running" in first.said, 150)
        assert first.stop() == 0
        assert "Stopped." in first.said
        (control / "hold").unlink()
        second = Up(machine, "--sample")
        try:
            second.wait(lambda: "The sample experiment is done" in second.said, 150)
        finally:
            second.stop()
        for arm in ("bm25", "zero_shot", "seeds_only", "inpars", "sptar"):
            assert f" {arm} " in second.said
        assert second.others() == {}
