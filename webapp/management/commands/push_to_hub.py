"""`manage.py push_to_hub PROJECT EXPERIMENT REPOSITORY`."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from sptar_engine.arms import FAMILIES
from webapp.archive_kinds import CARD_BOXES
from webapp.models import Experiment
from webapp.operations.hub import CannotPush, push


class Command(BaseCommand):
    """Push the packed search model of an experiment to a Hugging Face repository."""

    help = (
        "Push the packed search model of an experiment to a Hugging Face repository, which is private unless you say "
        "--public. The token is read from the environment variable HF_TOKEN and is stored nowhere."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add ours. There is none for the token: other people of the machine see arguments."""
        parser.add_argument("project", help="the ten characters of the project's address, as in /p/PROJECT/")
        parser.add_argument("experiment", type=int, help="its number")
        parser.add_argument("repository", help="NAME/REPOSITORY on the hub")
        trained = [name for name, family in FAMILIES.items() if family.trains]
        parser.add_argument("--family", choices=trained, default="", help="of several kinds of search models this one")
        parser.add_argument("--public", action="store_true", help="everybody may read it")
        parser.add_argument(
            "--show", action="append", default=[], choices=[box.key for box in CARD_BOXES if box.private],
            help="let the model card show words of people, too; give it once for each of them",
        )  # fmt: skip

    def handle(self, *args: Any, project: str, experiment: int, repository: str, **options: Any) -> None:
        """Do it."""
        token = os.environ.get("HF_TOKEN", "").strip()
        if not token:
            raise CommandError("Set HF_TOKEN in the environment to a token that may write to the hub, and try again.")
        rows = Experiment.objects.select_related("project", "corpus").filter(project__deleted=None)
        found = rows.filter(project__slug=project, number=experiment).first()
        if found is None:
            raise CommandError(f"There is no experiment {experiment} in a project {project}.")
        card = {box.key: not box.private or box.key in options["show"] for box in CARD_BOXES}
        try:
            pushed = push(
                experiment=found, repository=repository, token=token, endpoint=os.environ.get("HF_ENDPOINT") or None,
                is_public=options["public"], card=card, family=options["family"],
            )  # fmt: skip
        except CannotPush as error:
            raise CommandError(str(error)) from None
        how = "private" if pushed.is_private else "public"
        self.stdout.write(f"{pushed.files} files are in {pushed.url}, which is {how}.")
