"""Whether one generated question is like another, and in how many ways it may be."""

from __future__ import annotations

from collections.abc import Callable

from sptar_engine.data.query_text import normalised, overlap, words

NEAR = 0.8
"""Share of common words, of all words of both, from which two questions are nearly the same."""
_START = 3  # words


def likeness(how: str, text: str) -> Callable[[str], bool]:
    """A test of other texts; `how` is a name of webapp.review_words.LIKENESS."""
    return _TESTS[how](text)


def beginning(text: str) -> str:
    """The first words of a question, by which "start" compares."""
    return " ".join(normalised(text).split()[:_START])


def _same(text: str) -> Callable[[str], bool]:
    wanted = normalised(text)
    return lambda other: normalised(other) == wanted


def _near(text: str) -> Callable[[str], bool]:
    bag = words(text)
    return lambda other: overlap(bag, words(other)) >= NEAR


def _start(text: str) -> Callable[[str], bool]:
    wanted = beginning(text)
    return lambda other: beginning(other) == wanted


def _short(text: str) -> Callable[[str], bool]:
    most = len(text.split())
    return lambda other: len(other.split()) <= most


_TESTS: dict[str, Callable[[str], Callable[[str], bool]]] = {
    "same": _same, "near": _near, "start": _start, "short": _short,
}  # fmt: skip
