"""The words of a question within a document, and a piece of the document around them. Templates escape every part."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

_WORD = re.compile(r"\w+")
_ENDINGS = ("ingly", "edly", "ing", "ed", "es", "ly", "s")
_STEM = 3  # letters that must be left of a word
_COMMON = frozenset({
    "a", "an", "and", "any", "are", "as", "at", "be", "by", "can", "could", "do", "does", "for", "from", "had",
    "has", "have", "how", "i", "if", "in", "into", "is", "it", "its", "many", "may", "me", "much", "my", "no",
    "not", "of", "on", "or", "should", "so", "than", "that", "the", "their", "them", "then", "there", "these",
    "they", "this", "to", "was", "we", "were", "what", "when", "where", "which", "who", "why", "will", "with",
    "would", "you", "your",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of text; `hit` when it is a word of the question."""

    text: str
    hit: bool = False


def mark(text: str, question: str) -> list[Part]:
    """The text in parts, those words marked that the question has too, as far as their stems tell."""
    wanted = stems(question)
    places = [found.span() for found in _WORD.finditer(text) if _stem(found[0]) in wanted]
    ends = [(0, 0), *places, (len(text), len(text))]
    parts: list[Part] = []
    for (start, end), (following, _) in pairwise(ends):
        parts += [Part(text[start:end], hit=True), Part(text[end:following])]
    return [part for part in parts if part.text]


def around(text: str, question: str, length: int) -> str:
    """A piece of the text of about `length` characters, beginning shortly before most words of the question."""
    if len(text) <= length:
        return text
    wanted = stems(question)
    places = [found.start() for found in _WORD.finditer(text) if _stem(found[0]) in wanted]
    best = max(places, key=lambda start: sum(start <= place < start + length for place in places), default=0)
    start = max(0, best - 40)
    start = 0 if start < 60 else text.rfind(" ", 0, start) + 1
    end = start + length
    if end < len(text):
        end = max(text.rfind(" ", start, end), start + length // 2)
    return f"{'… ' if start else ''}{text[start:end]}{' …' if end < len(text) else ''}"


def stems(question: str) -> frozenset[str]:
    """The stems of a question's words, common ones left out unless there are no others."""
    words = {word.casefold() for word in _WORD.findall(question)}
    return frozenset(_stem(word) for word in (words - _COMMON or words))


def _stem(word: str) -> str:
    word = word.casefold()
    if word.endswith("ies") and len(word) - len("ies") >= _STEM:
        return word.removesuffix("ies") + "y"
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _STEM:
            return word.removesuffix(ending).rstrip("e")
    return word.rstrip("e") if len(word) > _STEM else word
