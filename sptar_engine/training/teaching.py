"""What a teacher is asked, how it is examined before it teaches, and the scale its answers are brought to."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sptar_engine.data.beir import read_queries
from sptar_engine.data.mined import Mined
from sptar_engine.data.seeds import read_held_out, read_seeds
from sptar_engine.errors import InputError, StageError
from sptar_engine.evaluation.metrics import measure
from sptar_engine.records import Corpus, Hit, Qrels, Rankings, rank_hits
from sptar_engine.retrieval.ranking import Ranker, Tick
from sptar_engine.training.development import MEASURE
from sptar_engine.training.pairs import TrainingSet
from sptar_engine.training.parts import Parts
from sptar_engine.training.teachers import Pair, Teacher

Scores = Mapping[str, Mapping[str, float]]
"""By query the scores of documents, by id."""

_PART = 256  # documents scored between two files: about a minute on two cores with the bundled models
_DIGITS = 6  # behind the point
_SHARPEST, _FLATTEST = 10.0, 0.1  # spread of a query's calibrated scores, in nats: beyond, softmax learns nothing
_HALVINGS = 60  # of the range in which the temperature is looked for: to the last digit


@dataclass(frozen=True, slots=True)
class Exam:
    """Held-out queries (text by id) with BM25's first hits, which a teacher is asked to put in a better order.

    `answers` are the judgements from `prepare.min_grade` on, as training pairs are.
    """

    queries: Mapping[str, str]
    qrels: Qrels
    answers: Qrels
    hits: Rankings

    @property
    def lists(self) -> dict[str, list[str]]:
        """The documents to score by query id."""
        return {query_id: [hit.doc_id for hit in hits] for query_id, hits in self.hits.items()}

    def grade(self, scores: Scores) -> Grades:
        """Compare the teacher's order of the documents with BM25's own."""
        ranked = {query: rank_hits(Hit(*scored) for scored in known.items()) for query, known in scores.items()}
        teacher, bm25 = (measure(self.qrels, rankings).mean[MEASURE] for rankings in (ranked, self.hits))
        return Grades(teacher, bm25, fit_temperature(scores, self.answers))

    @property
    def measured(self) -> int:
        """Number of the queries that `grade` measures: those with a relevant document."""
        return len(self.qrels.answered())


@dataclass(frozen=True, slots=True)
class Grades:
    """nDCG@10 of a teacher's order and of BM25's on the same documents, and the temperature of its scores."""

    teacher: float
    bm25: float
    temperature: float

    @property
    def teaches(self) -> bool:
        """Whether there is anything to learn from it."""
        return self.teacher > self.bm25


def read_exam(prepare: Path, bm25: Ranker, depth: int, tick: Tick) -> Exam:
    """Let BM25 search the held-out queries. Raises InputError when there are none."""
    qrels = read_held_out(prepare)
    texts = read_queries(prepare)
    queries = {query_id: texts[query_id].text for query_id in qrels.grades}
    if not queries:
        raise InputError(f"{prepare} has no held-out queries; a teacher is examined on them before it teaches.")
    seeds = read_seeds(prepare, "dev")
    answers = Qrels({query_id: {pair.document.doc_id: 1 for pair in pairs} for query_id, pairs in seeds.items()})
    return Exam(queries, qrels, answers, bm25.rank(queries, depth, tick))


def choose_documents(
    training_set: TrainingSet, mined: Mapping[str, Sequence[Mined]], count: int
) -> dict[str, tuple[str, ...]]:
    """Ids of the `count` documents that a teacher scores for each query: its own first, then mined ones, hardest first.

    At most half are its own as long as there are mined ones: what a student follows is the order of both. A query
    with one document in all has no order, and is left out.
    """
    own: dict[str, dict[str, None]] = {}
    for pair in training_set.pairs:
        own.setdefault(pair.query_key, {})[pair.doc_id] = None
    chosen = {key: _choose(list(own[key]), [one.doc_id for one in mined.get(key, ())], count) for key in own}
    return {key: doc_ids for key, doc_ids in chosen.items() if len(doc_ids) > 1}


def score_lists(
    teacher: Teacher,
    corpus: Corpus,
    advance: Callable[[int], None],
    parts: Parts,
    texts: Mapping[str, str],
    lists: Mapping[str, Sequence[str]],
) -> dict[str, dict[str, float]]:
    """The teacher's scores of the documents of `lists`, by query. `texts` are the queries'.

    The work goes document by document, since that is what costs: one that stands in many lists is read once.
    `advance` is called with the number of pairs done. Raises StageError for a score that is no number.
    """
    asking: dict[str, list[str]] = {}
    for query, doc_ids in lists.items():
        for doc_id in doc_ids:
            asking.setdefault(doc_id, []).append(query)
    ordered = sorted(asking)
    scores: dict[str, dict[str, float]] = {query: dict.fromkeys(doc_ids, math.nan) for query, doc_ids in lists.items()}
    for number, start in enumerate(range(0, len(ordered), _PART)):
        wanted = [(query, doc_id) for doc_id in ordered[start : start + _PART] for query in asking[doc_id]]
        if not parts.make(number, partial(_score, teacher, corpus, advance, texts, wanted)):
            advance(len(wanted))
        for row in parts.read(number):
            scores[row["query"]][row["doc_id"]] = row["score"]
    return scores


def fit_temperature(scores: Scores, answers: Qrels) -> float:
    """The number to divide a teacher's scores by, so that their softmax fits the relevant documents best.

    It minimises the mean over the queries of the mean of -log softmax of the relevant documents (temperature scaling,
    Guo et al., arXiv 1706.04599). That is convex in 1 / temperature, so the slope's zero is found by halving. The
    scores then spread by `_FLATTEST` to `_SHARPEST` nats in the mean query, where fewer or separable answers would
    ask for less or more. Queries of which no document with a score is relevant say nothing; 1 when all are such.
    """
    rows = [row for query, known in scores.items() if (row := _answers(known, answers.relevant(query)))]
    spread = float(np.mean([values.std() for values, _ in rows])) if rows else 0.0
    if not spread:
        return 1.0
    low, high = _FLATTEST / spread, _SHARPEST / spread
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        falling = sum(_slope(values, relevant, middle) for values, relevant in rows) < 0
        low, high = (middle, high) if falling else (low, middle)
    return 2 / (low + high)


def _answers(
    known: Mapping[str, float], relevant: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """All scores of a query and those of its relevant documents, if it has any."""
    found = [known[doc_id] for doc_id in relevant if doc_id in known]
    return (np.array(list(known.values())), np.array(found)) if found else None


def _slope(values: NDArray[np.float64], relevant: NDArray[np.float64], factor: float) -> float:
    """Slope of the loss of one query over the factor: the softmax's mean score less that of the relevant ones."""
    shares = np.exp(factor * (values - values.max()))
    return float(values @ shares / shares.sum() - relevant.mean())


def _choose(own: list[str], mined: list[str], count: int) -> tuple[str, ...]:
    others = mined[: count - min(len(own), count // 2)]
    return (*own[: count - len(others)], *others)


def _score(
    teacher: Teacher,
    corpus: Corpus,
    advance: Callable[[int], None],
    texts: Mapping[str, str],
    wanted: Sequence[tuple[str, str]],
) -> Iterator[dict[str, Any]]:
    """A row for each (query, document id), the pairs of a document together."""
    documents = {doc_id: corpus[doc_id] for doc_id in dict.fromkeys(doc_id for _, doc_id in wanted)}
    pairs = [Pair(texts[query], documents[doc_id]) for query, doc_id in wanted]
    for (query, doc_id), score in zip(wanted, teacher.score(pairs, advance), strict=True):
        if not math.isfinite(score):
            raise StageError(f"The teacher's score of document {doc_id!r} is {score}; teach.dtype=float32 may help.")
        yield {"query": query, "doc_id": doc_id, "score": round(score, _DIGITS)}
