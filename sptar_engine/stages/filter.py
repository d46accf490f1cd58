"""filter: keep a weak query only if BM25 finds its own document within the first `top_k` (SPTAR, section 3).

The rank of the own document is stored for every query, so that another threshold needs no new search.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sptar_engine.artifacts import write_json, write_jsonl
from sptar_engine.configs import FilterConfig
from sptar_engine.data.beir import CORPUS_FILE
from sptar_engine.data.query_text import normalised, overlap, words
from sptar_engine.data.seeds import read_seeds
from sptar_engine.data.weak import RANKS_FILE, read_weak
from sptar_engine.records import WeakPair
from sptar_engine.retrieval.lexical import LexicalSearcher, build_or_open
from sptar_engine.stage import StageContext, StageOutput

EMPTY, COPY, DUPLICATE, RANK = "empty", "copy", "duplicate", "rank"
_CHUNK = 512  # queries ranked between two ticks


@dataclass(frozen=True, slots=True)
class Verdict:
    """A weak pair with its BM25 rank, and why it was dropped: `empty`, `copy`, `duplicate` or `rank`; "" if kept."""

    pair: WeakPair
    reason: str

    @property
    def kept(self) -> bool:
        """Whether it goes into training."""
        return not self.reason


def run(config: FilterConfig, context: StageContext) -> StageOutput:
    """Write ranks.jsonl with every weak query and curve.json with the number kept for each k up to the depth."""
    prepare = context.input("prepare")
    weak = read_weak(context.input("generate"))
    index = build_or_open(prepare / CORPUS_FILE, context.cache)
    searcher = LexicalSearcher(index, config.k1, config.b)
    ranked: list[WeakPair] = []
    for start in range(0, len(weak), _CHUNK):
        chunk = weak[start : start + _CHUNK]
        ranks = searcher.ranks({pair.weak_id: (pair.query, pair.doc_id) for pair in chunk}, config.depth)
        ranked += [replace(pair, rank=ranks[pair.weak_id]) for pair in chunk]
        found = sum(pair.rank is not None and pair.rank <= config.top_k for pair in ranked)
        context.tick(len(ranked), len(weak), "queries ranked", found=found)
    # Test queries are not known to the filter: what happens to stand close to one is nobody's business here.
    seeds = [pairs[0].query.text for split in ("train", "dev") for pairs in read_seeds(prepare, split).values()]
    verdicts = judge(ranked, seeds, config.top_k, config.near_copy)
    write_jsonl(context.out_dir / RANKS_FILE, (_row(verdict) for verdict in verdicts))
    write_json(context.out_dir / "curve.json", {"kept_by_k": kept_by_k(verdicts, config.depth)})
    return StageOutput(summarise(verdicts, config.top_k))


def judge(pairs: Sequence[WeakPair], seed_queries: Iterable[str], top_k: int, near_copy: float) -> list[Verdict]:
    """Decide on every pair, in the order given. A pair has the first reason that applies.

    `empty`: no word at all. `copy`: shares `near_copy` of its words (Jaccard) with a seed query. `duplicate`: the
    same normalised text stands in another pair whose document ranks better, or as good and earlier. `rank`: its
    document is beyond `top_k`.
    """
    copies = CopyFinder(seed_queries, near_copy)
    first: dict[str, str] = {}  # normalised text -> the pair that keeps it
    for pair in sorted(pairs, key=_rank):  # stable: of equal ranks the earlier one stays first
        first.setdefault(normalised(pair.query), pair.weak_id)
    return [Verdict(pair, _reason(pair, copies, first, top_k)) for pair in pairs]


class CopyFinder:
    """Finds texts that are nearly one of some known queries, looking only at those that share a word."""

    def __init__(self, queries: Iterable[str], near_copy: float) -> None:
        self._bags = [words(query) for query in queries]
        self._near_copy = near_copy
        self._with_word: dict[str, list[int]] = {}
        for place, bag in enumerate(self._bags):
            for word in bag:
                self._with_word.setdefault(word, []).append(place)

    def is_copy(self, text: str) -> bool:
        """Whether a text shares `near_copy` of its words, as Jaccard overlap, with one of the queries."""
        bag = words(text)
        places = {place for word in bag for place in self._with_word.get(word, ())}
        return any(overlap(bag, self._bags[place]) >= self._near_copy for place in places)


def kept_by_k(verdicts: Sequence[Verdict], depth: int) -> list[int]:
    """How many pairs each threshold k = 1 … depth would keep, other reasons to drop a pair left as they are."""
    at_rank = Counter(verdict.pair.rank for verdict in verdicts if verdict.reason in ("", RANK))
    counts, total = [], 0
    for rank in range(1, depth + 1):
        total += at_rank[rank]
        counts.append(total)
    return counts


def summarise(verdicts: Sequence[Verdict], top_k: int) -> dict[str, Any]:
    """The numbers to show and a sentence made of them."""
    kept = sum(verdict.kept for verdict in verdicts)
    share = kept / len(verdicts) if verdicts else 0.0
    reasons = Counter(verdict.reason for verdict in verdicts if verdict.reason)
    dropped = {f"dropped_{reason}": reasons[reason] for reason in (EMPTY, COPY, DUPLICATE, RANK)}
    beyond = f"{reasons[RANK]} do not find their document within the first {top_k}"
    others = f"{reasons[COPY]} copy a labelled query, {reasons[DUPLICATE]} are duplicates, {reasons[EMPTY]} are empty"
    return {
        "queries": len(verdicts),
        "kept": kept,
        "kept_share": share,
        **dropped,
        "sentence": f"{kept} of {len(verdicts)} generated queries kept ({share:.0%}); {beyond}, {others}",
    }


def _reason(pair: WeakPair, copies: CopyFinder, first: Mapping[str, str], top_k: int) -> str:
    if not words(pair.query):
        return EMPTY
    if copies.is_copy(pair.query):
        return COPY
    if first[normalised(pair.query)] != pair.weak_id:
        return DUPLICATE
    return RANK if _rank(pair) > top_k else ""


def _rank(pair: WeakPair) -> float:
    return math.inf if pair.rank is None else pair.rank


def _row(verdict: Verdict) -> dict[str, Any]:
    return {**asdict(verdict.pair), "kept": verdict.kept, "reason": verdict.reason}
