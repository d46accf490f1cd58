"""filter: keep a weak query only if BM25 finds its own document within the first `top_k` (SPTAR, section 3).

The rank of the own document is stored for every query, so that another threshold needs no new search.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean
from typing import Any

from sptar_engine.artifacts import write_json, write_jsonl
from sptar_engine.configs import FilterConfig
from sptar_engine.data.beir import CORPUS_FILE
from sptar_engine.data.copies import NearCopies
from sptar_engine.data.lines import count_lines
from sptar_engine.data.query_text import normalised, words
from sptar_engine.data.seeds import read_seeds
from sptar_engine.data.weak import RANKS_FILE, read_weak
from sptar_engine.records import SeedPair, WeakPair
from sptar_engine.retrieval.lexical import LexicalSearcher, build_or_open
from sptar_engine.stage import StageContext, StageOutput

CURVE_FILE = "curve.json"
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
    ranked = rank(read_weak(context.input("generate")), config, context)
    # Test queries are not known to the filter: what happens to stand close to one is nobody's business here.
    seeds = [pairs[0].query.text for split in ("train", "dev") for pairs in _seeds(context, split)]
    verdicts = judge(ranked, seeds, config.top_k, config.near_copy)
    write_jsonl(context.out_dir / RANKS_FILE, (_row(verdict) for verdict in verdicts))
    write_json(context.out_dir / CURVE_FILE, {"kept_by_k": kept_by_k(verdicts, config.depth)})
    return StageOutput(summarise(verdicts, config.top_k))


def rank(weak: Sequence[WeakPair], config: FilterConfig, context: StageContext) -> list[WeakPair]:
    """The pairs with the BM25 rank of their document, None beyond `config.depth`. The index is built on first use."""
    corpus = context.input("prepare") / CORPUS_FILE
    total = count_lines(corpus)
    index = build_or_open(corpus, context.cache, lambda done: context.tick(done, total, "documents indexed"))
    ranked: list[WeakPair] = []
    with LexicalSearcher(index, config.k1, config.b) as searcher:
        for start in range(0, len(weak), _CHUNK):
            chunk = weak[start : start + _CHUNK]
            ranks = searcher.ranks({pair.weak_id: (pair.query, pair.doc_id) for pair in chunk}, config.depth)
            ranked += [replace(pair, rank=ranks[pair.weak_id]) for pair in chunk]
            context.tick(len(ranked), len(weak), "queries ranked", found=sum(pair.rank is not None for pair in ranked))
    return ranked


def judge(pairs: Sequence[WeakPair], seed_queries: Iterable[str], top_k: int, near_copy: float) -> list[Verdict]:
    """Decide on every pair, in the order given. A pair has the first reason that applies.

    `empty`: no word at all. `copy`: shares `near_copy` of its words (Jaccard) with a seed query. `duplicate`: the
    same normalised text stands in another pair whose document ranks better, or as good and earlier. `rank`: its
    document is beyond `top_k`.
    """
    copies = NearCopies(seed_queries, near_copy)
    first: dict[str, str] = {}  # normalised text -> the pair that keeps it
    for pair in sorted(pairs, key=_rank):  # stable: of equal ranks the earlier one stays first
        first.setdefault(normalised(pair.query), pair.weak_id)
    return [Verdict(pair, _reason(pair, copies, first, top_k)) for pair in pairs]


def kept_by_k(verdicts: Sequence[Verdict], depth: int) -> list[int]:
    """How many pairs each threshold k = 1 … depth would keep, other reasons to drop a pair left as they are."""
    at_rank = Counter(verdict.pair.rank for verdict in verdicts if verdict.reason in ("", RANK))
    counts, total = [], 0
    for k in range(1, depth + 1):
        total += at_rank[k]
        counts.append(total)
    return counts


def summarise(verdicts: Sequence[Verdict], top_k: int) -> dict[str, Any]:
    """The numbers to show and a sentence made of them. `mean_rank` is of the documents found within the depth."""
    kept = sum(verdict.kept for verdict in verdicts)
    share = kept / max(1, len(verdicts))
    reasons = Counter(verdict.reason for verdict in verdicts if verdict.reason)
    ranks = [verdict.pair.rank for verdict in verdicts if verdict.pair.rank is not None]
    beyond = f"{reasons[RANK]} do not find their document within the first {top_k}"
    others = f"{reasons[COPY]} copy a labelled query, {reasons[DUPLICATE]} are duplicates, {reasons[EMPTY]} are empty"
    return {
        "total": len(verdicts),
        "kept": kept,
        "kept_share": share,
        "mean_rank": fmean(ranks) if ranks else None,
        **{f"dropped_{reason}": reasons[reason] for reason in (EMPTY, COPY, DUPLICATE, RANK)},
        "sentence": f"{kept} of {len(verdicts)} generated queries kept ({share:.0%}); {beyond}, {others}",
    }


def _seeds(context: StageContext, split: str) -> Iterable[tuple[SeedPair, ...]]:
    return read_seeds(context.input("prepare"), split).values()


def _reason(pair: WeakPair, copies: NearCopies, first: Mapping[str, str], top_k: int) -> str:
    if not words(pair.query):
        return EMPTY
    if pair.query in copies:
        return COPY
    if first[normalised(pair.query)] != pair.weak_id:
        return DUPLICATE
    return RANK if _rank(pair) > top_k else ""


def _rank(pair: WeakPair) -> float:
    return math.inf if pair.rank is None else pair.rank


def _row(verdict: Verdict) -> dict[str, Any]:
    return {**asdict(verdict.pair), "kept": verdict.kept, "reason": verdict.reason}
