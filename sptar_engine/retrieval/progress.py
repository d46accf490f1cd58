"""Arrays of a search that may be stopped and started again."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Progress:
    """Where a search stands, in one file that is whole or absent. Without a folder nothing is kept."""

    def __init__(self, folder: Path | None, key: str) -> None:
        """`folder` belongs to one piece of work; `key` tells its searches apart."""
        self._file = folder / f"search-{key[:16]}.npz" if folder else None

    def load(self) -> dict[str, NDArray[Any]] | None:
        """What `save` was last given. None when there is nothing, or nothing that can be read, which is as good."""
        if self._file is None:
            return None
        try:
            with self._file.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
                return {name: stored[name] for name in stored.files}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile):
            return None

    def save(self, **arrays: NDArray[Any]) -> None:
        """Replace what is there."""
        if self._file is None:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        aside = self._file.with_suffix(".partial")
        with aside.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **arrays)
        os.replace(aside, self._file)
