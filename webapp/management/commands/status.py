"""`manage.py status --project SLUG --as E-MAIL`."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from django.http import Http404

from webapp.management.headless import HeadlessCommand
from webapp.models import Experiment, Project, Role, User
from webapp.selectors import measured
from webapp.selectors.comparisons import headlines_of
from webapp.selectors.experiments import stages_of, standing_of
from webapp.selectors.readiness import readiness_of
from webapp.selectors.steps import steps_of


class Command(HeadlessCommand):
    """Say where a project, or one of its experiments, stands."""

    help = "Print where a project stands, or with --experiment one of its experiments."

    def declare(self, parser: ArgumentParser) -> None:
        """Add ours."""
        parser.add_argument("--experiment", type=int, help="its number")

    def work(self, person: User, project: Project | None, options: Mapping[str, Any]) -> dict[str, Any]:
        """Look."""
        assert project is not None
        if options["experiment"] is None:
            return self._of_project(project)
        experiment = project.experiments.filter(number=options["experiment"]).first()
        if experiment is None:
            raise Http404
        experiment.project = project
        return self._of_experiment(experiment)

    def _of_project(self, project: Project) -> dict[str, Any]:
        steps = steps_of(project, Role.VIEWER)
        newest = project.experiments.order_by("-number").first()
        self.say(project.name)
        for step in steps:
            self.say(f"  {step.name}: {step.label}" + (f" ({step.why})" if step.why else ""))
        return {
            "project": project.slug, "name": project.name, "counts": dict(readiness_of(project).counts),
            "steps": {step.key: step.state for step in steps}, "experiment": newest.number if newest else None,
        }  # fmt: skip

    def _of_experiment(self, experiment: Experiment) -> dict[str, Any]:
        stages = stages_of(experiment)
        standing = standing_of(experiment, stages)
        headlines = headlines_of(measured.newest(experiment).comparison)
        self.say(f"Experiment {experiment.number}: {standing.sentence}")
        for stage in stages:
            self.say(f"  {stage.step_id}: {stage.get_state_display()}" + (f": {stage.error}" if stage.error else ""))
        for headline in headlines:
            self.say(headline)
        return {
            "experiment": experiment.number, "state": experiment.state, "sentence": standing.sentence,
            "stages": {stage.step_id: stage.state for stage in stages}, "headlines": headlines,
        }  # fmt: skip
