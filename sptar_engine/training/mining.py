"""Which of the documents that a search finds for a query may stand against it as hard negatives.

Hard ones teach most and are most often wrong: a document close to a query may answer it although nobody said so. So
one that a dense retriever scores nearly as high as the query's own document is left out, whichever search found it
(NV-Retriever, arXiv 2407.15831, TopK-PercPos).

sentence-transformers' `mine_hard_negatives` draws the same line, and a test shows the same choice; it is not used
because it knows neither BM25's hits nor a person's verdicts, tells documents apart by their exact text, leaves ties to
chance, holds all vectors in memory, and cannot stop and go on.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from sptar_engine.data.mined import REJECTED, Mined
from sptar_engine.records import Hit
from sptar_engine.training.pairs import TrainingSet

RELEVANT, MARGIN, SAME_TEXT = "relevant", "margin", "same_text"
DROPPED = (RELEVANT, MARGIN, SAME_TEXT)
"""Why a hit is no negative: it answers the query, it scores too close to an answer, it repeats another negative."""


@dataclass(frozen=True, slots=True)
class Question:
    """A training query: the keys of all documents that answer it, and the ids of its own ones.

    `own` are those it is trained with, best first; `rejected` those that a person found not to answer it.
    """

    key: str
    text: str
    relevant: AbstractSet[int]
    own: tuple[str, ...]
    rejected: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """The negatives of a query, hardest first, and how many hits were left out for each reason of DROPPED."""

    negatives: tuple[Mined, ...]
    dropped: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Line:
    """Where a document is too close to a query: at `limit` of the dense scores in `nearness`, by document id."""

    limit: float = math.inf
    nearness: Mapping[str, float] = field(default_factory=dict)

    def excludes(self, doc_id: str) -> bool:
        """Whether the document may well be an answer."""
        return self.limit < math.inf and self.nearness[doc_id] >= self.limit


def list_questions(training_set: TrainingSet) -> list[Question]:
    """The queries of a training set, each once, in the order of their first pairs."""
    own: dict[str, list[str]] = {}
    for pair in training_set.pairs:
        own.setdefault(pair.query_key, []).append(pair.doc_id)
    return [
        Question(key, text, training_set.positives[key], tuple(own[key]), training_set.rejected.get(key, ()))
        for key, text in training_set.queries.items()
    ]


def draw_line(question: Question, nearness: Mapping[str, float], margin: float) -> Line:
    """The line of a query: `margin` of the dense score of its own document; no line at 0.

    Of several own documents the best one counts, as if each were mined for by itself: with the worst, which
    sentence-transformers takes, one far-off answer would leave a query no hard negative at all. The line is below the
    own score even where that is negative.
    """
    if not margin:
        return Line()
    own = max(nearness[doc_id] for doc_id in question.own)
    return Line(own - (1 - margin) * abs(own), nearness)


def choose(
    question: Question, found: Mapping[str, Sequence[Hit]], line: Line, key_of: Callable[[str], int], count: int
) -> Choice:
    """Take what a person rejected, all of it, then hits up to `count` negatives in all.

    `found` has the hits of each source, best first; the sources take turns, so that the first few negatives come
    from all of them. `key_of` gives a document's key (`pairs.document_key`) by its id. No negative answers the query,
    none says the same as an answer or as another negative.
    """
    sieve = _Sieve(question, line, key_of)
    for doc_id in question.rejected:
        sieve.take(Mined(doc_id, REJECTED, None))
    queues = [_queue(source, hits) for source, hits in found.items()]
    while queues and len(sieve.taken) < count:
        queues = [queue for queue in queues if len(sieve.taken) < count and sieve.take_next(queue)]
    return Choice(tuple(sieve.taken.values()), {reason: sieve.dropped[reason] for reason in DROPPED})


def _queue(source: str, hits: Sequence[Hit]) -> Iterator[Mined]:
    return (Mined(hit.doc_id, source, hit.score) for hit in hits)


class _Sieve:
    """Lets through what may be a negative, and counts the rest. A document that comes again counts once."""

    def __init__(self, question: Question, line: Line, key_of: Callable[[str], int]) -> None:
        self.taken: dict[int, Mined] = {}  # by document key, in the order taken
        self.dropped: Counter[str] = Counter()
        self._question, self._line, self._key_of = question, line, key_of
        self._seen: set[str] = set()

    def take_next(self, queue: Iterator[Mined]) -> bool:
        """Take the first of the queue that may be a negative; False when there is none left."""
        return any(self.take(candidate) for candidate in queue)

    def take(self, candidate: Mined) -> bool:
        """Take the candidate, unless there is a reason not to."""
        if candidate.doc_id in self._seen:
            return False
        self._seen.add(candidate.doc_id)
        key = self._key_of(candidate.doc_id)
        reason = self._reason(candidate, key)
        if reason:
            self.dropped[reason] += 1
        else:
            self.taken[key] = candidate
        return not reason

    def _reason(self, candidate: Mined, key: int) -> str:
        if key in self._question.relevant:
            return RELEVANT
        if key in self.taken:
            return SAME_TEXT
        # A person's word stands above a score.
        return MARGIN if candidate.source != REJECTED and self._line.excludes(candidate.doc_id) else ""
