"""Fixtures of the search service."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.serving.stand_ins import Running, light_backends


@pytest.fixture
def root() -> Iterator[Path]:
    """A data folder whose path is short enough for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="sptar-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def start(root: Path) -> Iterator[Callable[..., Running]]:
    """Return `start(**backends)`: a service on stand-ins; it is stopped at the end."""
    started: list[Running] = []

    def make(**changes: Any) -> Running:
        started.append(Running(root, light_backends(**changes)))
        return started[-1]

    yield make
    for running in started:
        running.stop()
