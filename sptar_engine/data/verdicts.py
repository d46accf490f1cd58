"""Which weak pairs go into training, and why the others do not."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sptar_engine.data.copies import NearCopies
from sptar_engine.data.query_text import normalised, words
from sptar_engine.records import WeakPair

EMPTY, COPY, DUPLICATE = "empty", "copy", "duplicate"
RANK, ROUND_TRIP, LIKELIHOOD = "rank", "round_trip", "likelihood"

Ranks = Mapping[str, int | None]
"""By weak id the place of the query's own document in a ranking, from 1; None beyond the depth."""


class Rule(Protocol):
    """What decides on the pairs that are neither empty nor a copy nor a duplicate."""

    @property
    def reason(self) -> str:
        """Why the pairs that it does not admit are dropped, in a word."""

    def order(self, pair: WeakPair) -> float:
        """Lower for a better pair; of duplicates the best is kept."""

    def admit(self, pairs: Sequence[WeakPair]) -> Collection[str]:
        """The weak ids of those of the pairs that are kept."""

    def describe(self, dropped: int) -> str:
        """Words for the number of pairs that it does not admit."""


@dataclass(frozen=True, slots=True)
class RankRule:
    """Keeps a pair whose document comes within the first `top_k`, by BM25 or another ranking: `search`, in words."""

    ranks: Ranks
    top_k: int
    reason: str = RANK
    search: str = ""

    def order(self, pair: WeakPair) -> float:
        """The rank of the own document."""
        rank = self.ranks[pair.weak_id]
        return math.inf if rank is None else rank

    def admit(self, pairs: Sequence[WeakPair]) -> Collection[str]:
        """See Rule."""
        return {pair.weak_id for pair in pairs if self.order(pair) <= self.top_k}

    def describe(self, dropped: int) -> str:
        """See Rule."""
        return f"{dropped} do not find their document within the first {self.top_k}{self.search}"


@dataclass(frozen=True, slots=True)
class LikelihoodRule:
    """Keeps the `share` of the pairs whose queries the language model found likeliest (InPars, arXiv 2202.05144)."""

    losses: Mapping[str, float]
    share: float
    reason: str = LIKELIHOOD

    def order(self, pair: WeakPair) -> float:
        """Nats per token of the query."""
        return self.losses[pair.weak_id]

    def admit(self, pairs: Sequence[WeakPair]) -> Collection[str]:
        """See Rule. Of equally likely ones at the end the lower weak id stays; at least one pair does."""
        # The tiny amount keeps 0.7 * 10 = 7.000000000000001 from being 8.
        count = math.ceil(self.share * len(pairs) - 1e-9)
        return {pair.weak_id for pair in sorted(pairs, key=lambda one: (self.order(one), one.weak_id))[:count]}

    def describe(self, dropped: int) -> str:
        """See Rule."""
        return f"{dropped} are not among the likeliest {self.share:.0%}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A weak pair with its BM25 rank, and why it was dropped: `empty`, `copy`, `duplicate` or its rule's reason.

    The reason is empty for a pair that is kept.
    """

    pair: WeakPair
    reason: str

    @property
    def kept(self) -> bool:
        """Whether it goes into training."""
        return not self.reason


def judge(pairs: Sequence[WeakPair], seed_queries: Iterable[str], near_copy: float, rule: Rule) -> list[Verdict]:
    """Decide on every pair, in the order given. A pair has the first reason that applies.

    `empty`: no word at all. `copy`: shares `near_copy` of its words (Jaccard) with a seed query. `duplicate`: the
    same normalised text stands in another pair that the rule puts before it, or beside it and earlier in the list.
    Then the rule's: its document is not found, or the query is unlikely.
    """
    copies = NearCopies(seed_queries, near_copy)
    first: dict[str, str] = {}  # normalised text -> the pair that keeps it
    for pair in sorted(pairs, key=rule.order):  # stable: of equal ones the earlier stays first
        first.setdefault(normalised(pair.query), pair.weak_id)
    reasons = {pair.weak_id: _flaw(pair, copies, first) for pair in pairs}
    admitted = rule.admit([pair for pair in pairs if not reasons[pair.weak_id]])
    return [Verdict(pair, reasons[pair.weak_id] or ("" if pair.weak_id in admitted else rule.reason)) for pair in pairs]


def kept_by_k(verdicts: Sequence[Verdict], rule: RankRule, depth: int) -> list[int]:
    """How many pairs each threshold k = 1 … depth would keep, other reasons to drop a pair left as they are."""
    at_rank = Counter(rule.ranks[one.pair.weak_id] for one in verdicts if one.reason in ("", rule.reason))
    counts, total = [], 0
    for k in range(1, depth + 1):
        total += at_rank[k]
        counts.append(total)
    return counts


def _flaw(pair: WeakPair, copies: NearCopies, first: Mapping[str, str]) -> str:
    if not words(pair.query):
        return EMPTY
    if pair.query in copies:
        return COPY
    return DUPLICATE if first[normalised(pair.query)] != pair.weak_id else ""
