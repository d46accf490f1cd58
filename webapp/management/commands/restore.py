"""`manage.py restore FILE`."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from webapp.operations import startup
from webapp.operations.archive import BadBackup
from webapp.operations.restore import NotEmpty, restore


class Command(BaseCommand):
    """Bring a backup back."""

    help = "Bring a backup back into an empty database and data folder. SPTAR must not be running."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add ours."""
        parser.add_argument("file", type=Path, help="what `manage.py backup` wrote")

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        """Do it."""
        data_dir = Path(settings.DATA_DIR)
        try:
            startup.make_folders(data_dir)
            with startup.own(data_dir):
                report = restore(file)
        except (BadBackup, NotEmpty, startup.CannotStart) as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"The backup could not be unpacked into {data_dir}: {error.strerror}.") from error
        self.stdout.write(f"{report.rows} rows and {report.files} files are back in {data_dir}. Start with: make up")
