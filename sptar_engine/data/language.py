"""Which language a text is in: a guess by the model that py3langid (BSD-3-Clause) carries, without a network."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

UNKNOWN = "und"
"""What ISO 639 calls a language that is not determined."""

_READ_CHARACTERS = 1000  # of a text; more changes no guess and takes longer (0.4 ms for so many)
_LEAST_CONFIDENCE = 0.5


@cache
def language_guesser() -> Callable[[str], str]:
    """Return a function from a text to its ISO 639 code, or UNKNOWN. Loads the model on the first call."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True, min_confidence=_LEAST_CONFIDENCE)

    def guess(text: str) -> str:
        return str(identifier.classify(text[:_READ_CHARACTERS])[0])

    return guess
