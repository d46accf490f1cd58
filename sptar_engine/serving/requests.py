"""Reading a request: every value is checked, and what is wrong is refused in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sptar_engine.data.lines import clean_text
from sptar_engine.serving.wire import Refusal

_IDS = 50_000  # document ids in one request
_CHARACTERS = 20_000  # of a query; BM25 reads 8,192 of them and an encoder 256 tokens


@dataclass(frozen=True, slots=True)
class Request:
    """One request, `{"do": ..., ...}`."""

    values: Mapping[str, Any]

    def text(self, name: str, default: str | None = None) -> str:
        """A text, cut where nothing reads on."""
        value = self.values.get(name, default)
        if not isinstance(value, str):
            raise Refusal("refused", f"{name} must be a text.")
        return clean_text(value[:_CHARACTERS])[0]

    def count(self, name: str, default: int, most: int) -> int:
        """A whole number from 1 to `most`."""
        value = self.values.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            raise Refusal("refused", f"{name} must be a whole number from 1 to {most}.")
        return value

    def number(self, name: str, default: float, most: float) -> float:
        """A number from 0 to `most`."""
        value = self.values.get(name, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= most:
            raise Refusal("refused", f"{name} must be a number from 0 to {most:g}.")
        return float(value)

    def flag(self, name: str) -> bool:
        """A yes or a no; no when it is not given."""
        value = self.values.get(name, False)
        if not isinstance(value, bool):
            raise Refusal("refused", f"{name} must be true or false.")
        return value

    def ids(self, name: str) -> list[str]:
        """Document ids; none when they are not given."""
        value = self.values.get(name, [])
        if not isinstance(value, list) or len(value) > _IDS or not all(isinstance(item, str) for item in value):
            raise Refusal("refused", f"{name} must be a list of at most {_IDS} document ids.")
        return value
