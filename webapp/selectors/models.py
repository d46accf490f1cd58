"""Language models and base search models that a person may choose: those of the allow-list that are on this machine."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from sptar_engine import catalog
from webapp.places import models_folder

_FRESH = 60  # seconds for which the list is kept: looking names up in the hub's cache takes a moment
_UNPACKED = 2.75  # the bundled GGUF has 5.8 bits a weight; it is unpacked to 16


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model in words that help to choose. `reference_bytes` is the size of the bundled model of its kind."""

    name: str
    kind: str
    licence: str
    note: str
    bytes: int
    reference_bytes: int

    @property
    def scale(self) -> float:
        """Work for one document against the bundled model's: about as the weights."""
        return self.bytes / self.reference_bytes if self.bytes and self.reference_bytes else 1.0

    @property
    def megabytes(self) -> int:
        """Of its weights on disk."""
        return round(self.bytes / 1e6)

    @property
    def label(self) -> str:
        """One line for a menu."""
        traits = self.note or "no description by the operator"
        return f"{self.name}: {traits}, licence {self.licence}"


def choices() -> dict[str, ModelChoice]:
    """The models that are here, by name, bundled ones first."""
    return _choices(models_folder(), int(time.monotonic() // _FRESH))


def language_models() -> list[ModelChoice]:
    """Those that can write questions."""
    return [choice for choice in choices().values() if choice.kind == catalog.LANGUAGE_MODEL]


def encoders() -> list[ModelChoice]:
    """Those that can be trained for search."""
    return [choice for choice in choices().values() if choice.kind == catalog.ENCODER]


@lru_cache(maxsize=4)
def _choices(models: Path, minute: int) -> dict[str, ModelChoice]:
    del minute  # part of the cache's key alone
    found: dict[str, ModelChoice] = {}
    reference: dict[str, int] = {}
    for entry in catalog.entries(models):
        if entry.folder is None:
            continue
        size = _weights(entry.folder)
        reference.setdefault(entry.kind, size)
        found[entry.name] = ModelChoice(entry.name, entry.kind, entry.licence, entry.note, size, reference[entry.kind])
    return found


def _weights(folder: Path) -> int:
    """Bytes of a model's weights as they are used."""
    plain = sum(path.stat().st_size for path in folder.rglob("*.safetensors"))
    packed = sum(path.stat().st_size for path in folder.rglob("*.gguf"))
    return plain or int(_UNPACKED * packed)
