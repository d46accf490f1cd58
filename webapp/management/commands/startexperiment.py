"""`manage.py startexperiment --project SLUG --as E-MAIL`."""

from __future__ import annotations

import secrets
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django.core.management.base import CommandError

from sptar_engine.arms import BI_ENCODER, FAMILIES
from sptar_engine.presets import PRESETS
from webapp.forms.experiments import CHOSEN_ARMS, USUAL_ARMS
from webapp.management.headless import REFUSED, HeadlessCommand, failed, is_stuck, now, wait
from webapp.models import Experiment, Project, Role, State, User
from webapp.selectors.comparisons import headlines_of
from webapp.selectors.experiments import stages_of, standing_of
from webapp.services import experiment_orders
from webapp.services.experiment_orders import Order


class Command(HeadlessCommand):
    """Start an experiment, and wait for it if wanted."""

    help = "Start an experiment and print its number; with --wait stay until it is over."
    role: ClassVar[Role] = Role.EDITOR
    waits: ClassVar[bool] = True

    def declare(self, parser: ArgumentParser) -> None:
        """Add ours."""
        parser.add_argument("--preset", choices=list(PRESETS), default="balanced")
        parser.add_argument(
            "--arm", choices=CHOSEN_ARMS, action="append", help="besides the baselines; default: the usual"
        )
        parser.add_argument(
            "--family", choices=list(FAMILIES), action="append", help=f"kind of search model; default: {BI_ENCODER}"
        )
        parser.add_argument("--llm", default="", help="question writer")
        parser.add_argument("--base", default="", help="base search model")
        parser.add_argument("--seeds", type=int, default=1, help="repeats of each training")
        parser.add_argument(
            "--equal-pairs", action="store_true", help="compare arms at an equal number of generated questions as well"
        )
        parser.add_argument("--set", action="append", default=[], metavar="STAGE.OPTION=VALUE", help="other options")
        parser.add_argument("--name", default="")
        parser.add_argument("--note", default="")
        parser.add_argument("--request-token", default="", help="the same again starts no second experiment")
        parser.add_argument("--wait", action="store_true", help="stay until it is over")

    def work(self, person: User, project: Project | None, options: Mapping[str, Any]) -> dict[str, Any]:
        """Start it."""
        assert project is not None
        order = Order(
            preset=options["preset"], arms=tuple(options["arm"] or USUAL_ARMS),
            families=tuple(options["family"] or [BI_ENCODER]), llm=options["llm"], base=options["base"],
            seeds=options["seeds"], equal_pairs=options["equal_pairs"], name=options["name"], note=options["note"],
            settings=_settings(options["set"]),
        )  # fmt: skip
        token = options["request_token"] or secrets.token_hex(16)
        experiment = experiment_orders.place(project=project, actor=person, order=order, request_token=token)
        self.say(f"Experiment {experiment.number} of {project.slug}")
        if options["wait"]:
            self._follow(experiment, options["timeout"])
        return {
            "project": project.slug, "experiment": experiment.number, "state": experiment.state,
            "headlines": headlines_of(experiment.comparison),
        }  # fmt: skip

    def _follow(self, experiment: Experiment, seconds: float) -> None:
        said = ""

        def look() -> str:
            nonlocal said
            experiment.refresh_from_db()
            sentence = standing_of(experiment, stages_of(experiment)).sentence
            if sentence != said:
                self.say(f"{now()} {sentence}")
                said = sentence
            return experiment.state

        wait(look, is_over=lambda state: State(state).is_over, seconds=seconds)
        if is_stuck(experiment.state):
            raise failed(said)
        for headline in headlines_of(experiment.comparison):
            self.say(headline)


def _settings(words: Sequence[str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for word in words:
        place, sign, value = word.partition("=")
        stage, dot, name = place.partition(".")
        if not (sign and dot):
            raise CommandError(f"--set {word}: write it as stage.option=value.", returncode=REFUSED)
        found.setdefault(stage, {})[name] = value
    return found
