"""Queries that are nearly one of some known ones."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from sptar_engine.data.query_text import overlap, words


class NearCopies:
    """Finds texts whose words overlap with those of a known query by `similarity` (Jaccard) or more.

    By prefix filtering, as `leaks` does: with the words of two sets in one order, rare ones first, sets of Jaccard
    similarity t share one of the first n - ceil(t n) + 1 words of each, so few known queries are looked at however
    many there are.
    """

    def __init__(self, queries: Iterable[str], similarity: float) -> None:
        self._similarity = similarity
        bags = list({words(query): None for query in queries})
        self._frequency = Counter(word for bag in bags for word in bag)
        self._with_word: dict[str, list[frozenset[str]]] = {}
        for bag in bags:
            for word in self._prefix(bag):
                self._with_word.setdefault(word, []).append(bag)

    def __contains__(self, text: str) -> bool:
        bag = words(text)
        candidates = {known for word in self._prefix(bag) for known in self._with_word.get(word, ())}
        return any(overlap(bag, known) >= self._similarity for known in candidates)

    def _prefix(self, bag: frozenset[str]) -> list[str]:
        rare_first = sorted(bag, key=lambda word: (self._frequency[word], word))
        # The tiny amount keeps 0.7 * 10 = 7.000000000000001 from being 8, which would lose a pair.
        return rare_first[: len(bag) - math.ceil(self._similarity * len(bag) - 1e-9) + 1]
