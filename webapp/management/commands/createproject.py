"""`manage.py createproject NAME --as E-MAIL`."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any, ClassVar

from webapp.management.headless import HeadlessCommand
from webapp.models import Project, User
from webapp.services import projects


class Command(HeadlessCommand):
    """Make a project."""

    help = "Make a project whose owner is the given person, and print its name in addresses."
    in_project: ClassVar[bool] = False

    def declare(self, parser: ArgumentParser) -> None:
        """Add ours."""
        parser.add_argument("name", help="what people call it")
        parser.add_argument("--description", default="", help="what it is about")

    def work(self, person: User, project: Project | None, options: Mapping[str, Any]) -> dict[str, Any]:
        """Make it."""
        made = projects.create(name=options["name"], owner=person, description=options["description"])
        self.say(made.slug)
        return {"project": made.slug, "name": made.name}
