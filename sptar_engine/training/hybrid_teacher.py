"""The teacher `hybrid`: BM25 and the untrained base together, weighted by what the labelled pairs say.

The two err on different queries, and their weighted sum finds more than either (Bruch, Gai and Ingber, arXiv
2210.11934). It reads no text, so it can put a hundred documents in order for each query of a training, where a
cross-encoder has time for eight. What it teaches a retriever is the words that matter in this collection. Its one
fault is BM25's as well: it needs queries in the words of the collection's readers, and those are what a language model
writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from sptar_engine.data.beir import read_queries
from sptar_engine.data.seeds import read_held_out, read_seeds
from sptar_engine.data.taught import COSINE
from sptar_engine.errors import InputError
from sptar_engine.evaluation.metrics import measure
from sptar_engine.records import Hit
from sptar_engine.retrieval.two_searches import TwoSearches
from sptar_engine.training.development import DEPTH, MEASURE
from sptar_engine.training.field_weights import fit_weights
from sptar_engine.training.fields import SecondLook, Weights, chunked, survey
from sptar_engine.training.parts import Parts

_BASE = Weights(1.0, 0.0)
_RATE = 0.5  # at which a second look moves; 1.0 did a little worse on the labelled queries of two collections
_DIGITS = 6  # behind the point


@dataclass(frozen=True, slots=True)
class Together:
    """The two searches with their weights, and the dev nDCG@10 of both together and of the base alone.

    `again` is what a second look goes by; None where the first one is all. `dev_queries` is the number of held-out
    queries that were measured: those with a relevant document. Where both were examined, `other` is the score of the
    look that was not taken.
    """

    weights: Weights
    again: SecondLook | None
    score: float
    base_score: float
    dev_queries: int
    other: float | None = None

    @property
    def teaches(self) -> bool:
        """Whether BM25 knows anything that the base does not."""
        return self.score > self.base_score

    def sentence(self, queries: int) -> str:
        """What happened, in words."""
        found = (
            f"on {self.dev_queries:,} held-out queries they reach {MEASURE} {self.score:.3f} "
            f"together{self._other_look}, the untrained retriever alone {self.base_score:.3f}"
        )
        if self.teaches:
            return (
                f"BM25 and the untrained retriever together{self._looking} teach the order of documents for "
                f"{queries:,} training queries: {found}."
            )
        return f"BM25 and the untrained retriever do not teach, and training goes on without them: {found}."

    @property
    def _looking(self) -> str:
        if self.again is None:
            return ""
        return f", looking a second time with queries moved towards the first {self.again.documents} documents,"

    @property
    def _other_look(self) -> str:
        if self.other is None:
            return ""
        return f" ({self.other:.3f} with {'one look' if self.again else 'a second look'})"


def learn_together(searches: TwoSearches, prepare: Path, count: int, feedback: int) -> Together:
    """Weigh the two on the training queries and measure them on the held-out ones. Raises InputError without those.

    Where they are no better than the base alone, a second look is tried, which goes by the first `feedback` documents;
    0 for none. Not elsewhere: it finds more, but what it finds depends on the query's first documents, which a student
    can hardly learn (docs/results.md).
    """
    texts, dev = read_queries(prepare), read_held_out(prepare)
    if not dev.grades:
        raise InputError(f"{prepare} has no held-out queries; a teacher is examined on them before it teaches.")
    held_out = {query_id: texts[query_id].text for query_id in dev.grades}
    seeds = read_seeds(prepare, "train")
    answers = {query_id: [pair.document.doc_id for pair in pairs] for query_id, pairs in seeds.items()}
    questions = {query_id: pairs[0].query.text for query_id, pairs in seeds.items()}

    def fit(again: SecondLook | None) -> Weights:
        return fit_weights(dict(survey(searches, questions, count, answers, again)), answers)

    def examine(weights: Weights, again: SecondLook | None) -> tuple[float, float]:
        """The score of the weights, and of the cosines alone."""
        together: dict[str, list[Hit]] = {}
        alone: dict[str, list[Hit]] = {}
        for query_id, field in survey(searches, held_out, count, {}, again):
            together[query_id] = field.ranked(weights, DEPTH)
            alone[query_id] = field.ranked(_BASE, DEPTH)
        score, near = (measure(dev, rankings).mean[MEASURE] for rankings in (together, alone))
        return score, near

    weights = fit(None)
    score, base_score = examine(weights, None)
    first = Together(weights, None, score, base_score, len(dev.answered()))
    if first.teaches or not feedback:
        return first
    again = SecondLook(weights, feedback, _RATE)
    moved = fit(again)
    second = replace(first, weights=moved, again=again, score=examine(moved, again)[0], other=score)
    return second if second.teaches else replace(first, other=second.score)


def lesson_rows(
    together: Together,
    searches: TwoSearches,
    queries: Mapping[str, str],
    own: Mapping[str, Sequence[str]],
    count: int,
    parts: Parts,
    tick: Callable[[int, int, str], None],
) -> Iterator[dict[str, Any]]:
    """A row of scores.jsonl for each query: its first `count` documents and its own. What is in `parts` is done.

    The scores are in cosines: divided by what a cosine is worth, so that where BM25 has nothing to say they are what
    the student begins with, or what it would begin with if its vector had moved.
    """

    def rows(some: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        for key, field in survey(searches, some, count, own, together.again):
            first = {hit.doc_id: hit.score for hit in field.ranked(together.weights, len(field.doc_ids))}
            chosen = dict.fromkeys([*list(first)[:count], *own[key]])
            scores = [round(first[doc_id] / together.weights.cosine, _DIGITS) for doc_id in chosen]
            yield {"query_key": key, "doc_ids": list(chosen), "scores": scores, "unit": COSINE}

    done = 0
    for number, some in enumerate(chunked(queries)):
        parts.make(number, partial(rows, some))
        yield from parts.read(number)
        done += len(some)
        tick(done, len(queries), "training queries have their lesson")
