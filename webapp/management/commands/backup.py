"""`manage.py backup FILE`."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from webapp.operations.backup import CannotBackUp, back_up


class Command(BaseCommand):
    """Write everything that cannot be made again into one file."""

    help = "Write all labels, projects, uploads, documents and results into one file. SPTAR may be running."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add ours."""
        parser.add_argument("file", type=Path, help="a file that does not exist yet, such as sptar-2026-01-31.zip")
        parser.add_argument(
            "--without-results", action="store_true", help="leave out trained models and other results: much smaller"
        )

    def handle(self, *args: Any, file: Path, without_results: bool, **options: Any) -> None:
        """Do it."""
        try:
            report = back_up(file.absolute(), with_results=not without_results)
        except CannotBackUp as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{file}: {report.rows} rows, {report.files} files, {report.bytes / 1e6:.1f} MB")
