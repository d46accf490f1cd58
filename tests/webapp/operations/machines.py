"""A machine of its own for a test: a data folder, a database, and commands run as a person would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "OMP_NUM_THREADS")


@dataclass
class Machine:
    """Commands see these variables and none of the test run's own."""

    data: Path
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """What a command sees."""
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        paths = os.pathsep.join(
            [str(ROOT), *([self.variables["PYTHONPATH"]] if "PYTHONPATH" in self.variables else [])]
        )
        return {
            **inherited,
            "SPTAR_DATA": str(self.data),
            "SECRET_KEY": "only-for-tests-0123456789-" + "abcdefgh" * 4,
            "DJANGO_SETTINGS_MODULE": "webapp.settings",
            **self.variables,
            "PYTHONPATH": paths,
        }

    def manage(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run manage.py; its output and exit code come back."""
        return self._run("manage.py", *words)

    def fill(self) -> dict[str, list[Any]]:
        """Migrate, fill every table and return all rows."""
        self.migrate()
        return self._rows("fill")

    def migrate(self) -> None:
        """Make the tables."""
        self.data.mkdir(mode=0o700, exist_ok=True)
        done = self.manage("migrate", "--skip-checks", "-v", "0")
        assert done.returncode == 0, done.stderr

    def rows(self) -> dict[str, list[Any]]:
        """All rows by table."""
        return self._rows("print")

    def _rows(self, what: str) -> dict[str, list[Any]]:
        done = self._run("-m", "tests.webapp.operations.filling", what)
        assert done.returncode == 0, done.stderr
        found: dict[str, list[Any]] = json.loads(done.stdout)
        return found

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *words], cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=300,
            check=False,
        )  # fmt: skip
