"""`manage.py addperson EMAIL`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from webapp.services import login_links, people


class Command(BaseCommand):
    """Make an account from the command line, while sign-up is off."""

    help = "Make an account and print a link that logs the person in once within 15 minutes; there they set a password."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add ours."""
        parser.add_argument("email", help="e-mail address, which is the log-in name")
        parser.add_argument("--name", default="", help="shown beside what the person does")
        parser.add_argument("--operator", action="store_true", help="may open the page System")

    def handle(self, *args: Any, email: str, name: str, operator: bool, **options: Any) -> None:
        """Do it."""
        try:
            person = people.add(email=email, name=name, is_operator=operator)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        host = settings.ALLOWED_HOSTS[0] if settings.HTTPS else f"127.0.0.1:{settings.PORT}"
        self.stdout.write(f"{'https' if settings.HTTPS else 'http'}://{host}{login_links.make(person)}")
