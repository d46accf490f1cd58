"""Batches in which every other document may stand as a negative.

With in-batch negatives a batch must not hold a document that is relevant to another query of it, or the model learns
to push a right answer away. So no two pairs share a query, a document, or a query with the other's document. Where a
loss takes all answers of a query at once it is the other way round: they are dealt into a batch together.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import chain

from sptar_engine.training.pairs import Positives, TrainingPair

Batch = Sequence[TrainingPair]

# A pair that fits into none of this many batches opens a new one. Most fit into the first; the bound keeps 100,000
# pairs that nearly all exclude each other from taking forever.
_TRIES = 256


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """The batches of a whole training, a function of its fields alone. `together` is for a loss of many answers.

    An epoch has at most `answers` pairs of a query, drawn anew each time (0 = all): else a label with thirty right
    documents would count as much as thirty weak queries.
    """

    pairs: Sequence[TrainingPair]
    positives: Positives
    size: int
    epochs: int
    seed: int
    together: bool = False
    answers: int = 0

    @property
    def steps(self) -> int:
        """Batches of all epochs. Draws them all: about a second for 100,000 pairs and epoch."""
        return sum(len(self.epoch(number)) for number in range(self.epochs))

    @property
    def pairs_an_epoch(self) -> int:
        """How many pairs an epoch has."""
        queries = Counter(pair.query_key for pair in self.pairs)
        return sum(min(count, self.answers or count) for count in queries.values())

    def epoch(self, number: int) -> list[list[TrainingPair]]:
        """The batches of an epoch, counted from 0."""
        rng = random.Random(f"{self.seed}/{number}")
        pairs = draw_answers(self.pairs, self.answers, rng) if self.answers else self.pairs
        if self.together:
            return draw_together(pairs, self.size, rng)
        return draw_batches(pairs, self.positives, self.size, rng)

    def __iter__(self) -> Iterator[list[TrainingPair]]:
        for number in range(self.epochs):
            yield from self.epoch(number)


def draw_answers(pairs: Sequence[TrainingPair], count: int, rng: random.Random) -> list[TrainingPair]:
    """At most `count` pairs of each query, in the order of `pairs`."""
    places: dict[str, list[int]] = {}
    for place, pair in enumerate(pairs):
        places.setdefault(pair.query_key, []).append(place)
    drawn = [some if len(some) <= count else rng.sample(some, count) for some in places.values()]
    return [pairs[place] for place in sorted(chain.from_iterable(drawn))]


def draw_batches(
    pairs: Sequence[TrainingPair], positives: Positives, size: int, rng: random.Random
) -> list[list[TrainingPair]]:
    """Deal the pairs, each once, into batches of at most `size` without conflicts, all of about the same number.

    The pairs that exclude most others (a seed query with many answers) are dealt first, each into one of the
    emptiest batches, so they spread over the whole epoch and no batch of leftovers remains. A batch of one pair
    comes out only where the conflicts leave no choice. O(pairs · log batches) when conflicts are few.
    """
    queries = Counter(pair.query_key for pair in pairs)
    documents = Counter(pair.document_key for pair in pairs)

    def crowd(pair: TrainingPair) -> int:
        return max(queries[pair.query_key], documents[pair.document_key])

    order = sorted(rng.sample(pairs, len(pairs)), key=crowd, reverse=True)
    count = max(math.ceil(len(pairs) / size), crowd(order[0]))
    batches = [_Open() for _ in range(count)]
    emptiest = [(0, rng.random(), number) for number in range(count)]
    heapq.heapify(emptiest)
    for pair in order:
        known = positives.get(pair.query_key, frozenset())
        number = _place(pair, known, batches, emptiest)
        batches[number].add(pair, known)
        if len(batches[number].pairs) < size:
            heapq.heappush(emptiest, (len(batches[number].pairs), rng.random(), number))
    drawn = [batch.pairs for batch in batches]
    rng.shuffle(drawn)
    return drawn


def draw_together(pairs: Sequence[TrainingPair], size: int, rng: random.Random) -> list[list[TrainingPair]]:
    """Deal the pairs, each once, into batches of at most `size`, those of a query into the same one.

    More than `size` pairs of a query fill batches of their own. The largest groups are dealt first, each into the
    emptiest batch, so that all batches are of about the same number.
    """
    queries: dict[str, list[TrainingPair]] = {}
    for pair in rng.sample(pairs, len(pairs)):
        queries.setdefault(pair.query_key, []).append(pair)
    groups = [several[start : start + size] for several in queries.values() for start in range(0, len(several), size)]
    batches: list[list[TrainingPair]] = [[] for _ in range(math.ceil(len(pairs) / size))]
    emptiest = [(0, number) for number in range(len(batches))]
    for group in sorted(groups, key=len, reverse=True):
        if not emptiest or emptiest[0][0] + len(group) > size:
            heapq.heappush(emptiest, (0, len(batches)))
            batches.append([])
        _, number = heapq.heappop(emptiest)
        batches[number] += group
        heapq.heappush(emptiest, (len(batches[number]), number))
    rng.shuffle(batches)
    return batches


@dataclass(slots=True)
class _Open:
    """A batch being filled: the documents in it, and all that are relevant to its queries."""

    pairs: list[TrainingPair] = field(default_factory=list)
    documents: set[int] = field(default_factory=set)
    relevant: set[int] = field(default_factory=set)

    def takes(self, pair: TrainingPair, known: AbstractSet[int]) -> bool:
        # The same query twice is covered: it has the same relevant documents, the other pair's among them.
        return pair.document_key not in self.relevant and self.documents.isdisjoint(known)

    def add(self, pair: TrainingPair, known: AbstractSet[int]) -> None:
        self.pairs.append(pair)
        self.documents.add(pair.document_key)
        self.relevant.update(known, (pair.document_key,))


def _place(
    pair: TrainingPair, known: AbstractSet[int], batches: list[_Open], emptiest: list[tuple[int, float, int]]
) -> int:
    """Number of the emptiest batch that takes the pair, taken off the heap; of a new one when none is found."""
    passed: list[tuple[int, float, int]] = []
    found = None
    while emptiest and found is None and len(passed) < _TRIES:
        entry = heapq.heappop(emptiest)
        if batches[entry[2]].takes(pair, known):
            found = entry[2]
        else:
            passed.append(entry)
    for entry in passed:
        heapq.heappush(emptiest, entry)
    if found is None:
        batches.append(_Open())
        found = len(batches) - 1
    return found
