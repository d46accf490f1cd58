"""filter: keep a weak query only if its own document is found again, by BM25 (SPTAR, section 3) unless told otherwise.

`round_trip` asks the dense retriever instead (Promptagator, arXiv 2209.11755), `likelihood` the language model that
wrote the query (InPars, arXiv 2202.05144). Whoever decides, BM25's rank of the own document is stored for every
query, so that another threshold needs no new search, and all that was found out beside it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from statistics import fmean
from typing import Any

from sptar_engine.artifacts import write_json, write_jsonl
from sptar_engine.catalog import encoder_folder
from sptar_engine.configs import FilterConfig
from sptar_engine.data.beir import CORPUS_FILE
from sptar_engine.data.seeds import read_seeds
from sptar_engine.data.verdicts import (
    COPY,
    DUPLICATE,
    EMPTY,
    RANK,
    ROUND_TRIP,
    LikelihoodRule,
    RankRule,
    Ranks,
    Rule,
    Verdict,
    judge,
    kept_by_k,
)  # fmt: skip
from sptar_engine.data.weak import RANKS_FILE, read_losses, read_weak
from sptar_engine.records import Hit, SeedPair, WeakPair
from sptar_engine.retrieval.bm25_ranks import rank_own_documents
from sptar_engine.stage import StageContext, StageOutput

CURVE_FILE = "curve.json"
_CHUNK = 512  # queries searched densely between two ticks
_PERCENT = 100


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was found out about the pairs beside BM25's ranks, by weak id; empty where nobody asked."""

    dense_ranks: Ranks = field(default_factory=dict)
    losses: Mapping[str, float] = field(default_factory=dict)

    def row(self, weak_id: str) -> dict[str, Any]:
        """The part of a row of ranks.jsonl that holds it."""
        found: dict[str, Any] = {}
        if self.dense_ranks:
            found["dense_rank"] = self.dense_ranks[weak_id]
        if self.losses:
            found["loss"] = self.losses[weak_id]
        return found


def run(config: FilterConfig, context: StageContext) -> StageOutput:
    """Write ranks.jsonl with every weak query and curve.json with the number kept for each k up to the depth.

    Raises InputError where likelihood is to decide and weak.jsonl has none, and for a model that is no retriever.
    """
    weak = read_weak(context.input("generate"))
    evidence = gather(weak, config, context)
    ranked = rank(weak, config, context)
    rule = make_rule(ranked, evidence, config)
    # Test queries are not known to the filter: what happens to stand close to one is nobody's business here.
    seeds = [pairs[0].query.text for split in ("train", "dev") for pairs in _seeds(context, split)]
    verdicts = judge(ranked, seeds, config.near_copy, rule)
    write_jsonl(context.out_dir / RANKS_FILE, (_row(verdict, evidence) for verdict in verdicts))
    write_json(context.out_dir / CURVE_FILE, curve(verdicts, rule, config.depth))
    found_by_bm25 = {} if rule.reason == RANK else compare(verdicts, config.top_k)
    return StageOutput({**summarise(verdicts, rule), **found_by_bm25})


def gather(weak: Sequence[WeakPair], config: FilterConfig, context: StageContext) -> Evidence:
    """What the rule needs beside BM25's ranks."""
    if config.method == "round_trip":
        return Evidence(dense_ranks=rank_densely(weak, config, context))
    return Evidence(losses=read_losses(context.input("generate")) if config.method == "likelihood" else {})


def make_rule(ranked: Sequence[WeakPair], evidence: Evidence, config: FilterConfig) -> Rule:
    """The rule of `filter.method`."""
    if config.method == "round_trip":
        return RankRule(evidence.dense_ranks, config.top_k, ROUND_TRIP, " of a dense search")
    if config.method == "likelihood":
        return LikelihoodRule(evidence.losses, config.keep_share)
    return RankRule({pair.weak_id: pair.rank for pair in ranked}, config.top_k)


def rank(weak: Sequence[WeakPair], config: FilterConfig, context: StageContext) -> list[WeakPair]:
    """The pairs with the BM25 rank of their document, None beyond `config.depth`."""
    asked = {pair.weak_id: (pair.query, pair.doc_id) for pair in weak}
    corpus = context.input("prepare") / CORPUS_FILE
    found = rank_own_documents(asked, corpus, context.scratch, config.k1, config.b, context.tick)
    ranks = {weak_id: place if place and place <= config.depth else None for weak_id, place in found.items()}
    return [replace(pair, rank=ranks[pair.weak_id]) for pair in weak]


def rank_densely(weak: Sequence[WeakPair], config: FilterConfig, context: StageContext) -> dict[str, int | None]:
    """The rank of each pair's document in an exact dense search by the retriever of the input `train`, else the base.

    Ranked are different texts: a query finds its document when it finds a copy of it, and none of several copies is
    the wrong one. Of texts with the same score none stands before the other. The corpus is encoded once; its vectors
    stay on disk, and a stopped run goes on.
    """
    from sptar_engine.retrieval.corpus_vectors import open_corpus_vectors  # BM25 alone needs no torch
    from sptar_engine.retrieval.dense import encode, search
    from sptar_engine.retrieval.distinct import distinct_texts
    from sptar_engine.retrieval.encoder import load_bi_encoder
    from sptar_engine.retrieval.kinds import QUERY, document_side
    from sptar_engine.runtime import prepare_torch

    prepare_torch(0, config.threads)  # nothing is drawn
    trained = context.inputs.get("train")
    folder = trained / "model" if trained else encoder_folder(config.base, context.models)
    model = load_bi_encoder(folder, config.max_length, context.device)
    doc_ids, vectors = open_corpus_vectors(
        model, document_side(folder), context.input("prepare"), config.max_length,
        context.scratch if trained else context.cache,  # other arms search with the same base
        lambda done, total: context.tick(done, total, "documents encoded"),
    )  # fmt: skip
    texts = distinct_texts(context.input("prepare"))
    text_of = dict(zip(texts.doc_ids, texts.numbers.tolist(), strict=True))
    ranks: dict[str, int | None] = {}
    for start in range(0, len(weak), _CHUNK):
        chunk = weak[start : start + _CHUNK]
        queries = encode(model, [pair.query for pair in chunk], config.max_length, side=QUERY)
        found = search([pair.weak_id for pair in chunk], queries, doc_ids, vectors, config.depth)
        for pair in chunk:
            ranks[pair.weak_id] = _place_among_texts(found[pair.weak_id], text_of, pair.doc_id)
        found_here = sum(place is not None for place in ranks.values())
        context.tick(len(ranks), len(weak), "queries searched densely", found=found_here)
    return ranks


def _place_among_texts(hits: Sequence[Hit], text_of: Mapping[str, int], doc_id: str) -> int | None:
    """The place, from 1, of a document's text among the different texts of the hits; None where no hit has it.

    `text_of` gives by document id the number of its text. Copies may differ in the last digits of their scores, since
    a vector depends a little on what it is encoded with; the text stands where its best copy does.
    """
    own = next((hit.score for hit in hits if text_of[hit.doc_id] == text_of[doc_id]), None)
    if own is None:
        return None
    return 1 + len({text_of[hit.doc_id] for hit in hits if hit.score > own})


def curve(verdicts: Sequence[Verdict], rule: Rule, depth: int) -> dict[str, Any]:
    """What curve.json holds: the numbers kept by each k of the ranking that decides.

    No ranking decides by likelihood: there it is, for each percent of the pairs that are kept, the loss of the last.
    """
    if isinstance(rule, RankRule):
        by = {} if rule.reason == RANK else {"by": rule.reason}
        return {**by, "kept_by_k": kept_by_k(verdicts, rule, depth)}
    losses = sorted(rule.order(one.pair) for one in verdicts if one.reason in ("", rule.reason))
    places = [max(0, -(-percent * len(losses) // _PERCENT) - 1) for percent in range(1, _PERCENT + 1)]
    return {"by": rule.reason, "kept_by_k": [], "loss_by_percent": [losses[place] for place in places if losses]}


def summarise(verdicts: Sequence[Verdict], rule: Rule) -> dict[str, Any]:
    """The numbers to show and a sentence made of them. `mean_rank` is BM25's, of the documents within the depth."""
    kept = sum(verdict.kept for verdict in verdicts)
    share = kept / max(1, len(verdicts))
    reasons = Counter(verdict.reason for verdict in verdicts if verdict.reason)
    ranks = [verdict.pair.rank for verdict in verdicts if verdict.pair.rank is not None]
    others = f"{reasons[COPY]} copy a labelled query, {reasons[DUPLICATE]} are duplicates, {reasons[EMPTY]} are empty"
    return {
        "total": len(verdicts),
        "kept": kept,
        "kept_share": share,
        "mean_rank": fmean(ranks) if ranks else None,
        **{f"dropped_{reason}": reasons[reason] for reason in (EMPTY, COPY, DUPLICATE, rule.reason)},
        "sentence": f"{kept} of {len(verdicts)} generated queries kept ({share:.0%}); "
        f"{rule.describe(reasons[rule.reason])}, {others}",
    }


def compare(verdicts: Sequence[Verdict], top_k: int) -> dict[str, int]:
    """Of the pairs without a flaw: how many BM25 would keep with the same `top_k`, and how many both rules keep."""
    sound = [one for one in verdicts if one.reason not in (EMPTY, COPY, DUPLICATE)]
    found = [one for one in sound if one.pair.rank is not None and one.pair.rank <= top_k]
    return {"sound": len(sound), "kept_by_bm25": len(found), "kept_by_both": sum(one.kept for one in found)}


def _seeds(context: StageContext, split: str) -> Iterable[tuple[SeedPair, ...]]:
    return read_seeds(context.input("prepare"), split).values()


def _row(verdict: Verdict, evidence: Evidence) -> dict[str, Any]:
    pair = verdict.pair
    return {**asdict(pair), **evidence.row(pair.weak_id), "kept": verdict.kept, "reason": verdict.reason}
