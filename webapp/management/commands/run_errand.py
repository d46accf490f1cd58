"""`manage.py run_errand ID ATTEMPT`: the process that does an errand."""

from __future__ import annotations

import faulthandler
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from webapp.errands import KINDS
from webapp.jobs import runner


class Command(BaseCommand):
    """Do one attempt at an errand, if the row still waits for it."""

    help = "Do an errand. Workers start this; the attempt is the one that the row waits for."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Name the row and the attempt."""
        parser.add_argument("errand", type=int)
        parser.add_argument("attempt", type=int)

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it."""
        del args
        faulthandler.enable()
        runner.run_errand(options["errand"], options["attempt"], KINDS)
