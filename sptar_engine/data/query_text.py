"""When two queries are the same, and how much two resemble each other."""

from __future__ import annotations

import re
import unicodedata

_WORD = re.compile(r"\w+")
_END_MARKS = " ?!.。"  # NFKC has made the wide ones and the ellipsis into these


def normalised(text: str) -> str:
    """A query as far as its meaning can depend on how it is typed: no case, single spaces, no mark at its end.

    Marks inside stay: "c" and "c++" are two questions.
    """
    typed = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return typed.rstrip(_END_MARKS) or typed


def words(text: str) -> frozenset[str]:
    """The set of words of a query."""
    return frozenset(_WORD.findall(normalised(text)))


def overlap(one: frozenset[str], other: frozenset[str]) -> float:
    """Jaccard similarity of two sets of words, 0 to 1; 0 where both are empty."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared) if shared else 0.0
