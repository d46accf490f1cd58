"""The teacher `hybrid`: BM25 and the untrained base together, weighted by what the labelled pairs say.

The two err on different queries, and their weighted sum finds more than either (Bruch, Gai and Ingber, arXiv
2210.11934). It reads no text, so it can put a hundred documents in order for each query of a training, where a
cross-encoder has time for eight. What it teaches a retriever is the words that matter in this collection. Its one
fault is BM25's as well: it needs queries in the words of the collection's readers, and those are what a language model
writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from sptar_engine.data.beir import read_queries
from sptar_engine.data.seeds import read_held_out, read_seeds
from sptar_engine.data.taught import COSINE
from sptar_engine.errors import InputError
from sptar_engine.evaluation.metrics import measure
from sptar_engine.records import Hit, rank_hits
from sptar_engine.retrieval.dense import Vectors
from sptar_engine.retrieval.two_searches import TwoSearches
from sptar_engine.training.development import DEPTH, MEASURE
from sptar_engine.training.parts import Parts

Features = NDArray[np.float64]
"""Of some documents of a query, (documents, 2): the cosine, and BM25's score as a share of the query's best."""

_PER_COSINE, _PER_SHARE = (1e-3, 100.0), (0.0, 100.0)  # bounds of the weights, in nats
_START = (10.0, 1.0)
_MOST_COSINES = 2.0  # that BM25's best hit may be worth: cosines span no more
_DEPTH = 1000  # of BM25's hits
_CHUNK = 256  # queries searched at a time
_DIGITS = 6  # behind the point


@dataclass(frozen=True, slots=True)
class Weights:
    """What a cosine of 1, and BM25's best score, are worth in nats: their sum is a logit."""

    cosine: float
    share: float

    def scores(self, features: Features) -> NDArray[np.float64]:
        """The teacher's scores, (documents)."""
        scores: NDArray[np.float64] = features @ np.array([self.cosine, self.share])
        return scores


@dataclass(frozen=True, slots=True)
class Field:
    """The documents that two searches find for a query, with what each of them thinks of them."""

    doc_ids: tuple[str, ...]
    features: Features

    def ranked(self, weights: Weights, count: int) -> list[Hit]:
        """The first `count` documents by (-score, doc_id)."""
        scores = weights.scores(self.features).tolist()
        return rank_hits((Hit(*scored) for scored in zip(self.doc_ids, scores, strict=True)), count)


def survey(
    searches: TwoSearches, queries: Mapping[str, str], count: int, known: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, Field]]:
    """The field of each query: the first `count` documents of either search, and those `known` to belong to it.

    A document beyond BM25's first 1,000 hits counts as one that shares no word with the query. No more of the hits
    are in memory than those of one chunk of the queries.
    """
    # All at once: a vector's last digits depend on the texts that it is encoded with.
    vectors = searches.encode(list(queries.values()))
    done = 0
    for some in _chunks(queries):
        yield from _survey_chunk(searches, some, vectors[done : done + len(some)], count, known)
        done += len(some)


def _survey_chunk(
    searches: TwoSearches, queries: Mapping[str, str], vectors: Vectors, count: int, known: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, Field]]:
    """As `survey`, of queries whose `vectors` are known, (queries, dimensions)."""
    words = searches.words(queries, max(_DEPTH, count))
    meaning = searches.meaning(list(queries), vectors, count)
    for query_id, vector in zip(queries, vectors, strict=True):
        lexical = {hit.doc_id: hit.score for hit in words.get(query_id, ())}
        near = (hit.doc_id for hit in meaning[query_id])
        doc_ids = tuple(sorted({*list(lexical)[:count], *near, *known.get(query_id, ())}))
        best = max(lexical.values(), default=1.0)
        shares = [lexical.get(doc_id, 0.0) / best for doc_id in doc_ids]
        yield query_id, Field(doc_ids, np.column_stack([searches.cosines(vector, doc_ids), shares]))


def fit_weights(fields: Mapping[str, Field], answers: Mapping[str, Sequence[str]]) -> Weights:
    """The weights under which the softmax of the scores gives the answers most, in the mean of the queries.

    It minimises the mean over the queries of the mean of -log softmax of the answers, which is convex. Queries of
    which no answer is in the field say nothing; when there is no other, BM25 has no weight.

    BM25's best score is worth 2 cosines at most. Lessons are in cosines, so where the answers have the lowest cosines
    of all, a weight of next to nothing for these would teach scores of thousands of cosines, out of a student's reach.
    """
    rows = [
        (field.features, np.isin(field.doc_ids, list(answers.get(query_id, ())))) for query_id, field in fields.items()
    ]
    telling = [(features, found) for features, found in rows if found.any()]
    if not telling:
        return Weights(_START[0], 0.0)
    fitted = optimize.minimize(_loss, _START, args=(telling,), jac=True, bounds=(_PER_COSINE, _PER_SHARE))
    weights = Weights(*map(float, fitted.x))
    return weights if weights.share <= _MOST_COSINES * weights.cosine else _fit_on_the_limit(telling)


def _fit_on_the_limit(rows: Sequence[tuple[Features, NDArray[np.bool_]]]) -> Weights:
    """The best weights of which BM25's is as high as it may be: the loss is convex, so none below the limit is better.

    There is one number to fit, what a cosine is worth, and one feature: the cosine and twice the share.
    """
    both = np.array([1.0, _MOST_COSINES])

    def loss(cosine: NDArray[np.float64]) -> tuple[float, Features]:
        value, slope = _loss(cosine * both, rows)
        return value, np.array([slope @ both])

    bounds = (_PER_COSINE[0], min(_PER_COSINE[1], _PER_SHARE[1] / _MOST_COSINES))
    cosine = float(optimize.minimize(loss, _START[:1], jac=True, bounds=(bounds,)).x[0])
    return Weights(cosine, _MOST_COSINES * cosine)


def _loss(weights: NDArray[np.float64], rows: Sequence[tuple[Features, NDArray[np.bool_]]]) -> tuple[float, Features]:
    """The loss and its gradient."""
    total, slope = 0.0, np.zeros(2)
    for features, found in rows:
        logits = features @ weights
        likely = logits - np.logaddexp.reduce(logits)
        total -= likely[found].mean()
        slope += np.exp(likely) @ features - features[found].mean(axis=0)
    return total / len(rows), slope / len(rows)


@dataclass(frozen=True, slots=True)
class Together:
    """The two searches with their weights, and the dev nDCG@10 of both together and of the base alone.

    `dev_queries` is the number of held-out queries that were measured: those with a relevant document.
    """

    weights: Weights
    score: float
    base_score: float
    dev_queries: int

    @property
    def teaches(self) -> bool:
        """Whether BM25 knows anything that the base does not."""
        return self.score > self.base_score

    def sentence(self, queries: int) -> str:
        """What happened, in words."""
        found = (
            f"on {self.dev_queries:,} held-out queries they reach {MEASURE} {self.score:.3f} together, the untrained "
            f"retriever alone {self.base_score:.3f}"
        )
        if self.teaches:
            return (
                f"BM25 and the untrained retriever together teach the order of documents for {queries:,} training "
                f"queries: {found}."
            )
        return f"BM25 and the untrained retriever do not teach, and training goes on without them: {found}."


def learn_together(searches: TwoSearches, prepare: Path, count: int) -> Together:
    """Weigh the two on the training queries and measure them on the held-out ones. Raises InputError without those."""
    texts, dev = read_queries(prepare), read_held_out(prepare)
    if not dev.grades:
        raise InputError(f"{prepare} has no held-out queries; a teacher is examined on them before it teaches.")
    seeds = read_seeds(prepare, "train")
    answers = {query_id: [pair.document.doc_id for pair in pairs] for query_id, pairs in seeds.items()}
    questions = {query_id: pairs[0].query.text for query_id, pairs in seeds.items()}
    weights = fit_weights(dict(survey(searches, questions, count, answers)), answers)
    together: dict[str, list[Hit]] = {}
    alone: dict[str, list[Hit]] = {}
    for some in _chunks({query_id: texts[query_id].text for query_id in dev.grades}):
        for query_id, field in survey(searches, some, count, {}):
            together[query_id] = field.ranked(weights, DEPTH)
            alone[query_id] = field.ranked(Weights(weights.cosine, 0.0), DEPTH)
    score, base_score = (measure(dev, rankings).mean[MEASURE] for rankings in (together, alone))
    return Together(weights, score, base_score, len(dev.answered()))


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
    the student begins with.
    """

    def rows(some: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        for key, field in survey(searches, some, count, own):
            first = {hit.doc_id: hit.score for hit in field.ranked(together.weights, len(field.doc_ids))}
            chosen = dict.fromkeys([*list(first)[:count], *own[key]])
            scores = [round(first[doc_id] / together.weights.cosine, _DIGITS) for doc_id in chosen]
            yield {"query_key": key, "doc_ids": list(chosen), "scores": scores, "unit": COSINE}

    done = 0
    for number, some in enumerate(_chunks(queries)):
        parts.make(number, partial(rows, some))
        yield from parts.read(number)
        done += len(some)
        tick(done, len(queries), "training queries have their lesson")


def _chunks(queries: Mapping[str, str]) -> Iterator[dict[str, str]]:
    keys = list(queries)
    for start in range(0, len(keys), _CHUNK):
        yield {key: queries[key] for key in keys[start : start + _CHUNK]}
