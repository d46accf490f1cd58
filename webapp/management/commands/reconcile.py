"""`manage.py reconcile`: puts right what crashes left behind, at once and then every 30 seconds."""

from __future__ import annotations

import logging
import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.db import InterfaceError, OperationalError, connection

from webapp.jobs.reconcile import Reconciler

_log = logging.getLogger(__name__)


class Command(BaseCommand):
    """Run until SIGTERM; any number of these may run at once."""

    help = "Queue again what lost its worker or its job. Looks at once and then every --every seconds."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Say how often."""
        parser.add_argument("--every", type=float, default=30.0, help="seconds between two passes (30)")
        parser.add_argument("--once", action="store_true", help="one pass, then end")

    def handle(self, *args: Any, **options: Any) -> None:
        """Pass after pass, until asked to stop. A database that is away is waited for."""
        del args
        over = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: over.set())
        reconciler = Reconciler()
        while not over.is_set():
            try:
                reconciler.run()
            except (OperationalError, InterfaceError) as error:
                if options["once"]:
                    raise
                _log.warning("The database cannot be reached (%s); trying again.", type(error).__name__)
                connection.close()
            if options["once"]:
                return
            over.wait(options["every"])
