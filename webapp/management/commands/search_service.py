"""`manage.py search_service`: the process that holds Java and the encoders, for all pages that search."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from sptar_engine.errors import SptarError
from sptar_engine.serving.process import Options, run
from webapp import places


class Command(BaseCommand):
    """Run the search service until SIGTERM."""

    help = "Answer searches over a Unix socket in the data folder. One such process serves the whole application."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add what a machine may decide differently."""
        parser.add_argument("--device", default="cpu", help="where texts are encoded: cpu, cuda or auto")
        parser.add_argument("--threads", type=int, default=0, help="for encoding; 0 is all processors but one")

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve."""
        del args
        try:
            run(self._options(options["device"], options["threads"]))
        except SptarError as error:
            raise CommandError(str(error)) from error
        os._exit(0)  # as `run` advises

    def _options(self, device: str, threads: int) -> Options:
        return Options(
            socket=Path(settings.SEARCH_SOCKET),
            root=Path(settings.DATA_DIR),
            cache=places.search_cache(),
            models=places.models_folder(),
            base=settings.SEARCH_BASE,
            device=device,
            threads=threads,
        )
