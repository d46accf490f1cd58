"""Queries that stand in two splits, which is an error, and queries of two splits that resemble each other."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from sptar_engine.data.judgements import Judgement
from sptar_engine.data.lines import quoted
from sptar_engine.data.query_text import normalised, overlap, words
from sptar_engine.data.splits import Splits
from sptar_engine.errors import LeakError
from sptar_engine.records import Query

_SHOWN = 5  # pairs of similar queries that a report lists


@dataclass(frozen=True, slots=True)
class SimilarPair:
    """Two queries of different splits; `overlap` is the Jaccard similarity of their words."""

    split: str
    query_id: str
    query: str
    other_split: str
    other_query_id: str
    other_query: str
    overlap: float


@dataclass(frozen=True, slots=True)
class LeakReport:
    """How many pairs of similar queries go across splits, and the most similar few."""

    similar_queries: int
    examples: tuple[SimilarPair, ...]

    def as_dict(self) -> dict[str, Any]:
        """The report, ready for JSON."""
        return asdict(self)


def check_leaks(queries: Mapping[str, Query], splits: Splits, similarity: float) -> LeakReport:
    """Look for queries that are in two splits, and count pairs of different splits that are `similarity` alike.

    Raises LeakError, naming both places, for the same (query, document) pair, the same query id, or the same
    normalised query text in two splits.
    """
    _check_ids(splits)
    split_of = {row.query_id: split for split, rows in splits.items() for row in rows}
    judged = {query_id: query for query_id, query in queries.items() if query_id in split_of}
    _check_texts(judged, split_of)
    found = sorted(_similar(judged, split_of, similarity), key=lambda pair: (-pair.overlap, pair.query_id))
    return LeakReport(len(found), tuple(found[:_SHOWN]))


def _check_ids(splits: Splits) -> None:
    for (split, rows), (other_split, other_rows) in combinations(splits.items(), 2):
        shared = {(row.query_id, row.doc_id): row for row in rows}
        for row in other_rows:
            if (row.query_id, row.doc_id) in shared:
                pair = f"the pair of query {quoted(row.query_id)} and document {quoted(row.doc_id)}"
                raise _leak(pair, split, shared[row.query_id, row.doc_id], other_split, row)
        first = _first_rows(rows)
        for row in other_rows:
            if row.query_id in first:
                raise _leak(f"the query {quoted(row.query_id)}", split, first[row.query_id], other_split, row)


def _first_rows(rows: Sequence[Judgement]) -> dict[str, Judgement]:
    return {row.query_id: row for row in reversed(rows)}


def _leak(what: str, split: str, row: Judgement, other_split: str, other: Judgement) -> LeakError:
    places = f"{split} ({row.path}, line {row.line}) and in {other_split} ({other.path}, line {other.line})"
    return LeakError(f"{what} stands in {places}; keep it in one split")


def _check_texts(judged: Mapping[str, Query], split_of: Mapping[str, str]) -> None:
    first: dict[str, Query] = {}
    for query in judged.values():
        other = first.setdefault(normalised(query.text), query)
        if split_of[other.query_id] != split_of[query.query_id]:
            raise LeakError(
                f"the queries {quoted(other.query_id)} in {split_of[other.query_id]} and {quoted(query.query_id)} in "
                f"{split_of[query.query_id]} have the same text {quoted(query.text)}; keep it in one split"
            )


def _similar(judged: Mapping[str, Query], split_of: Mapping[str, str], similarity: float) -> Iterator[SimilarPair]:
    """Join the queries with themselves by prefix filtering (Chaudhuri et al. 2006, Bayardo et al. 2007).

    With the words of each query sorted from rare to frequent, two sets of Jaccard similarity t share one of the first
    n - ceil(t n) + 1 words of each. So only those go into the index, and the frequent words hardly ever do.
    """
    bags = {query_id: words(query.text) for query_id, query in judged.items()}
    frequency = Counter(word for bag in bags.values() for word in bag)
    index: dict[str, list[str]] = {}
    for query_id, bag in bags.items():
        rare_first = sorted(bag, key=lambda word: (frequency[word], word))
        prefix = rare_first[: len(bag) - _at_least(similarity, len(bag)) + 1]
        candidates = {other: None for word in prefix for other in index.get(word, ())}
        for other in candidates:
            alike = overlap(bags[other], bag)
            if alike >= similarity and split_of[other] != split_of[query_id]:
                one, two = judged[other], judged[query_id]
                yield SimilarPair(
                    split_of[other], other, one.text, split_of[query_id], query_id, two.text, round(alike, 4)
                )
        for word in prefix:
            index.setdefault(word, []).append(query_id)


def _at_least(similarity: float, size: int) -> int:
    # The tiny amount keeps 0.7 * 10 = 7.000000000000001 from being 8, which would lose a pair.
    return math.ceil(similarity * size - 1e-9)
