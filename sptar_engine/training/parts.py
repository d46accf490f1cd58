"""Work done part by part, each part's rows in a file of its own, so that a stopped stage repeats one part at most."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sptar_engine.artifacts import read_jsonl, write_jsonl

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Parts:
    """A folder below a stage's scratch: it belongs to one stage with its settings and inputs.

    So the number of a part says what is in it, as long as the work is cut the same way every time.
    """

    folder: Path

    def make(self, number: int, work: Callable[[], Iterable[Row]]) -> bool:
        """Do the work of a part, unless it is done. Returns whether there was work to do."""
        missing = not self._path(number).exists()
        if missing:
            write_jsonl(self._path(number), work())
        return missing

    def read(self, number: int) -> Iterator[dict[str, Any]]:
        """The rows of a part that is done, one at a time. Raises ArtifactError for a broken file."""
        return read_jsonl(self._path(number))

    def _path(self, number: int) -> Path:
        return self.folder / f"part-{number:06d}.jsonl"
