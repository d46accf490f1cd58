"""The BM25 rank of one document for each query, without a search: its score, and how many documents come before it.

The scores are Lucene's to the last bit: its words (`lucene_words`), its formula in float32 with document lengths as its
index stores them, rounded to a byte, added up in float64. So a rank is the place in the ranking of `lexical`, ties too.

Why no search: of the hits of a query one is asked for, and Lucene's time goes into fetching the ids of the others. Why
not the package bm25s with the same words: its lengths are exact, which makes another ranking (1 or 2 queries in 1,000
kept that Lucene drops, or the other way round: benchmarks.bm25_filter), and it holds the whole index in memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from sptar_engine.data.lines import count_lines
from sptar_engine.retrieval.bm25_blocks import Block, Blocks, Statistics, Wanted
from sptar_engine.retrieval.java import java_class
from sptar_engine.retrieval.lexical import query_text
from sptar_engine.retrieval.lucene_words import analyze
from sptar_engine.retrieval.progress import Progress

if TYPE_CHECKING:
    from sptar_engine.retrieval.ranking import Tick

_QUERIES = 2000  # handed to Lucene at a time
_SCORES = 1 << 20  # held at a time, about 30 bytes each; a query has at most one for each document of a block
_STORED_LENGTHS = 256  # the lengths that Lucene can tell apart


def rank_own_documents(
    pairs: Mapping[str, tuple[str, str]], corpus: Path, folder: Path, k1: float, b: float, tick: Tick
) -> dict[str, int | None]:
    """The rank by (-score, doc_id) of the document of each (query text, doc_id): 1 + how many come before it.

    None for a document that has no word of its query or is not in the corpus.jsonl. `folder` belongs to this work
    alone: started again with the same arguments, what was stopped goes on. In memory are one block, and 50 bytes for
    each document of the corpus.

    Raises InputError for a bad corpus, StageError when Lucene fails.
    """
    questions = Questions.read(pairs)
    if not questions.wanted.terms:
        return dict.fromkeys(pairs)
    total = count_lines(corpus)
    blocks = Blocks(corpus, questions.wanted, folder, lambda done: tick(done, total, "documents read"))
    scorer = Scorer.of(blocks.statistics, questions, k1, b)
    scores = np.zeros(len(pairs), np.float32)
    for block in blocks:
        own = scorer.own_scores(block, questions)
        scores = np.maximum(scores, own)  # each document is in one block, and 0 elsewhere
    before = _count_before(blocks, scorer, questions, scores, Progress(folder, "bm25-before"), tick)
    found = zip(pairs, scores.tolist(), before.tolist(), strict=True)
    return {key: count + 1 if score > 0 else None for key, score, count in found}


@dataclass(frozen=True, slots=True)
class Questions:
    """The queries as bags of features. A feature is a word together with how often a query has it.

    A word that stands in a query n times has n times the weight, which is rounded before the formula goes on with it.
    So its score is not n times the score of the word.
    """

    features: csr_array
    """(queries, features): 1 where a query has a feature."""
    terms: NDArray[np.int64]
    """(features,): the number of the word."""
    times: NDArray[np.float32]
    """(features,): how often it stands in the query."""
    own: NDArray[np.int64]
    """(queries,): the place of its document among those that are wanted."""
    wanted: Wanted

    @classmethod
    def read(cls, pairs: Mapping[str, tuple[str, str]]) -> Self:
        """Analyse the texts."""
        features: dict[tuple[str, int], int] = {}
        columns: list[int] = []
        ends = [0]
        for words in _analyze(text for text, _ in pairs.values()):
            columns += (features.setdefault(feature, len(features)) for feature in Counter(words).items())
            ends.append(len(columns))
        terms: dict[str, int] = {}
        numbers = np.array([terms.setdefault(word, len(terms)) for word, _ in features], np.int64)
        doc_ids = sorted({doc_id for _, doc_id in pairs.values()})
        place = {doc_id: number for number, doc_id in enumerate(doc_ids)}
        return cls(
            csr_array(
                (np.ones(len(columns)), np.array(columns, np.int32), np.array(ends, np.int32)),
                shape=(len(pairs), len(features)),
            ),
            numbers,
            np.array([count for _, count in features], np.float32),
            np.array([place[doc_id] for _, doc_id in pairs.values()], np.int64),
            Wanted(terms, doc_ids),
        )


@dataclass(frozen=True, slots=True)
class Scorer:
    """Lucene's BM25Similarity, version 9: `weight - weight / (1 + count * inverse)`, all of it in float32."""

    terms: NDArray[np.int64]
    """(features,): as in Questions."""
    weights: NDArray[np.float32]
    """(features,): times a word stands in the query * idf."""
    inverse: NDArray[np.float32]
    """(stored lengths,): 1 / (k1 * (1 - b + b * length / average length))."""
    lengths: NDArray[np.int32]
    """(stored lengths,): ascending."""

    @classmethod
    def of(cls, statistics: Statistics, questions: Questions, k1: float, b: float) -> Self:
        """With Lucene's order of operations: another one gives another last bit, and then ties are none."""
        count, frequency = statistics.documents, statistics.document_frequency
        idf = np.log(1 + (count - frequency + 0.5) / (frequency + 0.5)).astype(np.float32)
        one, saturation, share = np.float32(1), np.float32(k1), np.float32(b)
        average = np.float32(statistics.words / max(1, count))
        lengths = _stored_lengths()
        with np.errstate(divide="ignore"):  # k1 = 0 counts a word once however often it is there, by way of infinity
            inverse = one / (saturation * ((one - share) + share * lengths.astype(np.float32) / average))
        return cls(questions.terms, questions.times * idf[questions.terms], inverse, lengths)

    def scores(self, block: Block) -> csr_array:
        """(features, documents): what a feature adds to the score of a document, in float64.

        Sums of such numbers lose nothing: float64 has 29 bits more than float32. So their order does not matter.
        """
        postings = block.counts.T.tocsr()[self.terms]
        stored = (np.searchsorted(self.lengths, block.lengths, side="right") - 1)[postings.indices]
        weights = np.repeat(self.weights, np.diff(postings.indptr))
        scores = weights - weights / (np.float32(1) + postings.data.astype(np.float32) * self.inverse[stored])
        return csr_array((scores.astype(np.float64), postings.indices, postings.indptr), shape=postings.shape)

    def own_scores(self, block: Block, questions: Questions) -> NDArray[np.float32]:
        """(queries,): the score of each query's document; 0 where it has no word of it or is in another block."""
        rows = block.own_rows[questions.own]
        here = np.flatnonzero(rows >= 0)
        of_documents = self.scores(block).T.tocsr()[rows[here]]  # (queries here, features)
        scores = np.zeros(len(rows), np.float32)
        scores[here] = of_documents.multiply(questions.features[here]).sum(axis=1)
        return scores


def _count_before(
    blocks: Blocks, scorer: Scorer, questions: Questions, own: NDArray[np.float32], progress: Progress, tick: Tick
) -> NDArray[np.int64]:
    """(queries,): how many documents come before each query's own. Goes on after the last block that was counted."""
    stored = progress.load() or {"done": np.array(0), "before": np.zeros(len(own), np.int64)}
    before: NDArray[np.int64] = stored["before"]
    for done, block in enumerate(blocks):
        if done < stored["done"]:
            continue
        scores = scorer.scores(block)
        for chunk in _chunks(questions.features @ np.diff(scores.indptr), len(block.lengths)):
            before[chunk] += _before(block, questions.features[chunk] @ scores, questions.own[chunk], own[chunk])
            tick((done * len(own) + chunk.stop) // len(blocks), len(own), "queries ranked")
        progress.save(done=np.array(done + 1), before=before)
    return before


def _before(block: Block, scores: csr_array, wanted: NDArray[np.int64], own: NDArray[np.float32]) -> NDArray[np.int64]:
    """(queries,): how many documents of a block have a higher score than its own, or the same and a smaller id."""
    rows = np.repeat(np.arange(len(own)), np.diff(scores.indptr))
    rounded, asked = scores.data.astype(np.float32), own[rows]
    before = rounded > asked
    tied = np.flatnonzero(rounded == asked)
    before[tied] = block.places[scores.indices[tied]] < block.own_places[wanted[rows[tied]]]
    return np.bincount(rows[before], minlength=len(own))


def _chunks(costs: NDArray[Any], documents: int) -> Iterator[slice]:
    """Queries in a row whose scores are held at once; `costs` are the scores that are added up for each."""
    ends = np.cumsum(np.minimum(costs, documents))
    start = 0
    while start < len(ends):
        held = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, held + _SCORES, side="right")))
        yield slice(start, stop)
        start = stop


def _analyze(texts: Iterable[str]) -> Iterator[list[str]]:
    remaining = iter(texts)
    while batch := [query_text(text) for text in islice(remaining, _QUERIES)]:
        yield from analyze(batch)


def _stored_lengths() -> NDArray[np.int32]:
    """(stored lengths,): what becomes of a document's length when it is stored in a byte, the next smaller of these."""
    decode = java_class("org.apache.lucene.util.SmallFloat").byte4ToInt
    return np.array([decode((code ^ 0x80) - 0x80) for code in range(_STORED_LENGTHS)], np.int32)  # bytes have a sign
