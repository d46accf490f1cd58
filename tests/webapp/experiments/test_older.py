"""Experiments that were started by an older version: other presets, options that are gone, options that are new."""

from __future__ import annotations

import shlex
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.test import Client

from sptar_engine.configs import build_config, parse_overrides
from sptar_engine.experiment import plan
from sptar_engine.presets import PRESETS
from webapp.jobs.comparison import step_of
from webapp.models import Experiment, StageRun, User
from webapp.places import snapshot_folder
from webapp.selectors.derived_plans import plan_of
from webapp.selectors.experiments import stages_of
from webapp.selectors.recipes import command_of, recipe_of
from webapp.services.experiments import planned, repeat

pytestmark = pytest.mark.django_db

FAST = {
    "tune": {"epochs": 3}, "select": {"candidates": 4}, "generate": {"documents": 150},
    "train": {"evaluations": 2, "dev_pool": 500, "negatives_from": 20},
}  # fmt: skip
"""What the preset fast set before there were teachers, and an option of then."""
NEW = {"train": ("towers", "answers", "cached_pairs", "matryoshka", "cross_loss"), "filter": ("method", "keep_share")}


@pytest.fixture
def older(done_experiment: Experiment) -> Experiment:
    """As an older version has stored it."""
    experiment = done_experiment
    experiment.settings = {stage: dict(values) for stage, values in FAST.items()}
    experiment.save()
    experiment.stages.filter(stage="teach").delete()
    for row in experiment.stages.all():
        config = {name: value for name, value in row.config.items() if name not in NEW.get(row.stage, ())}
        row.config = config | ({"negatives_from": 20} if row.stage == "train" else {})
        row.inputs = {role: source for role, source in row.inputs.items() if role != "teach"}
        row.save()
    return experiment


def migrate() -> None:
    import_module("webapp.migrations.0005_drop_removed_options").drop(apps, SimpleNamespace(connection=connection))


def test_its_page_and_report_open_whatever_it_has_stored(client: Client, older: Experiment) -> None:
    address = f"/p/{older.project.slug}/experiments/{older.number}/"
    assert client.get(address).status_code == 200
    found = recipe_of(older, stages_of(older))
    assert "negatives_from" not in {one.option for one in (*found.every, *found.changed)}


def test_options_that_are_gone_leave_its_rows(older: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("webapp.migrations.0005_drop_removed_options"), "_AT_ONCE", 2)
    before = {row.step_id: row.config for row in older.stages.all()}
    migrate()
    migrate()
    older.refresh_from_db()
    assert older.settings == {**FAST, "train": {"evaluations": 2, "dev_pool": 500}}
    for row in older.stages.all():
        expected = {name: value for name, value in before[row.step_id].items() if name != "negatives_from"}
        assert row.config == expected


def test_settings_that_held_nothing_else_are_empty(older: Experiment) -> None:
    Experiment.objects.filter(pk=older.pk).update(settings={"train": {"negatives_from": 20}})
    migrate()
    older.refresh_from_db()
    assert older.settings == {}


def test_what_is_derived_from_it_looks_once_as_it_did(done_experiment: Experiment, monkeypatch) -> None:
    migration = import_module("webapp.migrations.0006_one_look")
    monkeypatch.setattr(migration, "_AT_ONCE", 2)
    experiment = done_experiment
    experiment.settings = {"train": {"epochs": 1}, "fuse": {"weights": 10}}
    experiment.families = ["bi_encoder", "hybrid"]
    experiment.save()
    last = experiment.stages.order_by("position").last()
    StageRun.objects.create(
        experiment=experiment, position=last.position + 1, step_id="fuse.sptar/hybrid", stage="fuse", queue="cpu",
        config={"weights": 10},
    )  # fmt: skip
    for row in experiment.stages.filter(stage="teach"):
        row.config = {name: value for name, value in row.config.items() if name != "feedback"}
        row.save()
    for _ in range(2):
        migration.keep(apps, SimpleNamespace(connection=connection))
    experiment.refresh_from_db()
    assert experiment.settings == {
        "train": {"epochs": 1}, "fuse": {"weights": 10, "feedback": 0}, "teach": {"feedback": 0},
    }  # fmt: skip
    found = [row.config["feedback"] for row in experiment.stages.filter(stage__in=("teach", "fuse"))]
    assert len(found) > 1 and set(found) == {0}
    steps = planned(experiment, ())
    assert {step.config.as_dict()["feedback"] for step in steps if step.stage in ("teach", "fuse")} == {0}


def test_what_is_derived_from_it_ranks_by_a_cross_encoders_own_score(done_experiment: Experiment, monkeypatch) -> None:
    migration = import_module("webapp.migrations.0007_own_score")
    monkeypatch.setattr(migration, "_AT_ONCE", 2)
    experiment = done_experiment
    experiment.settings = {"train": {"epochs": 1}}
    experiment.families = ["bi_encoder", "cross_encoder"]
    experiment.save()
    last = experiment.stages.order_by("position").last()
    before = {row.step_id: row.config for row in experiment.stages.all()}
    StageRun.objects.create(
        experiment=experiment, position=last.position + 1, step_id="train.sptar/cross_encoder", stage="train",
        queue="cpu", config={"family": "cross_encoder", "epochs": 1},
    )  # fmt: skip
    for _ in range(2):
        migration.keep(apps, SimpleNamespace(connection=connection))
    experiment.refresh_from_db()
    assert experiment.settings == {"train": {"epochs": 1, "weights": 0}}
    found = {row.step_id: row.config for row in experiment.stages.all()}
    assert found.pop("train.sptar/cross_encoder") == {"family": "cross_encoder", "epochs": 1, "weights": 0}
    assert found == before
    steps = [step for step in planned(experiment, ()) if step.stage == "train" and step.family == "cross_encoder"]
    assert steps and {step.config.as_dict()["weights"] for step in steps} == {0}


def test_options_that_are_new_and_nothing_looks_at_make_nothing_done_anew(done_experiment: Experiment) -> None:
    experiment = done_experiment
    for row in experiment.stages.filter(stage="train"):
        row.config = {name: value for name, value in row.config.items() if name != "weights"}
        row.save()
    steps = planned(experiment, ())
    assert plan_of(experiment, steps).reused == len(steps)
    row = experiment.stages.get(step_id="train.sptar")
    row.config = {**row.config, "gone": 1}
    row.save()
    assert plan_of(experiment, steps).reused < len(steps)


def test_experiments_that_know_the_option_keep_it(done_experiment: Experiment) -> None:
    before = (done_experiment.settings, list(done_experiment.stages.values_list("config", flat=True)))
    import_module("webapp.migrations.0006_one_look").keep(apps, SimpleNamespace(connection=connection))
    done_experiment.refresh_from_db()
    assert before == (done_experiment.settings, list(done_experiment.stages.values_list("config", flat=True)))


def test_its_steps_can_be_done_with_the_defaults_of_what_is_new(older: Experiment) -> None:
    migrate()
    for row in older.stages.all():
        assert step_of(row).config == build_config(row.stage, row.config)
    assert step_of(older.stages.get(step_id="train.sptar")).config.as_dict()["towers"] == "both"


def test_it_can_be_repeated_as_it_was(older: Experiment, owner: User) -> None:
    migrate()
    older.refresh_from_db()
    snapshot_folder(older.project, older.dataset).mkdir(parents=True)
    again = repeat(experiment=older, actor=owner, request_token="again")
    assert {row.step_id for row in again.stages.all()} == {row.step_id for row in older.stages.all()}
    assert again.stages.get(step_id="train.sptar").config["epochs"] == 2


@pytest.mark.parametrize("preset", ["fast", "balanced", "paper"])
def test_its_command_gives_the_same_plan_under_todays_presets(older: Experiment, preset: str) -> None:
    migrate()
    older.refresh_from_db()
    older.preset = preset
    assert _plan_of(command_of(older)) == planned(older, ())


def test_the_command_of_todays_experiment_names_no_defaults(done_experiment: Experiment) -> None:
    assert "--set" not in command_of(done_experiment)


def _plan_of(command: str) -> Any:
    """The plan that the command line makes of its words."""
    words = shlex.split(command)
    values = {name: words[at + 1] for at, name in enumerate(words[:-1]) if name.startswith("--")}
    asked = parse_overrides([words[at + 1] for at, name in enumerate(words) if name == "--set"])
    preset = PRESETS[values["--preset"]].settings
    return plan(values["--arms"].split(","), preset, families=values["--families"].split(","), asked=asked)
