"""`manage.py loginlink [EMAIL]`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from webapp.models import User
from webapp.services import login_links, operators


class Command(BaseCommand):
    """Make a log-in link."""

    help = "Print a link that logs a person in once within 15 minutes; without an address, the operator."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add ours."""
        parser.add_argument("email", nargs="?", help="address of an account")

    def handle(self, *args: Any, email: str | None, **options: Any) -> None:
        """Do it."""
        user = User.objects.filter(email=email.lower(), is_active=True).first() if email else operators.first()
        if user is None:
            raise CommandError(f"There is no active account with the address {email}.")
        self.stdout.write(f"http://127.0.0.1:{settings.PORT}{login_links.make(user)}")
