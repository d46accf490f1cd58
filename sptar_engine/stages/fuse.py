"""fuse: choose on the held-out queries how BM25 and a bi-encoder, trained or not, are put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sptar_engine.catalog import encoder_folder
from sptar_engine.configs import FuseConfig
from sptar_engine.evaluation.metrics import measure
from sptar_engine.records import Rankings
from sptar_engine.retrieval.dense_ranking import DenseRanker
from sptar_engine.retrieval.fusion import Feedback, Fusion, candidate_fusions, write_fusion
from sptar_engine.retrieval.hybrid import look_again
from sptar_engine.retrieval.ranking import SearchSpace, Tick
from sptar_engine.runtime import prepare_torch
from sptar_engine.stage import StageContext, StageOutput
from sptar_engine.training.development import DEPTH, MEASURE, DevelopmentSet, read_development_set
from sptar_engine.training.development_corpus import development_folder, search_words

_MODEL_FOLDER = "model"  # of a training's result
_RATES = (0.5, 1.0)  # of feedback, that are tried


def run(config: FuseConfig, context: StageContext) -> StageOutput:
    """Write fusion.json with the best way by held-out nDCG@10, of equal ones the simplest.

    A second look is tried where the whole collection is searched for the held-out queries (`dev_pool`).

    Raises InputError when there are no held-out queries.
    """
    prepare = context.input("prepare")
    development = read_development_set(prepare, config.dev_pool)
    prepare_torch(0, config.threads)
    space = SearchSpace(
        dataset=development_folder(prepare, development, context.cache), cache=context.cache, scratch=context.scratch,
        device=context.device, max_length=config.max_length,
    )  # fmt: skip
    lexical = search_words(development, prepare, context.cache, config.depth, config.k1, config.b)
    ranker = DenseRanker(space, _model_folder(config, context))
    dense = ranker.rank(development.queries, config.depth, context.tick)
    candidates = candidate_fusions(config.method, config.weights, config.rank_constant, config.depth)
    first = try_fusions(candidates, lexical, dense, development, context.tick)
    tried = list(first)
    # Among a pool of documents the first ones are nearly all right, which they are not in the whole collection.
    looks_twice = config.feedback and space.dataset == prepare
    for rate in _RATES if looks_twice else ():
        feedback = Feedback(best_of(first).fusion, config.feedback, rate)
        again = look_again(ranker, development.queries, lexical, dense, feedback, config.depth, context.tick)
        moved = [replace(one, feedback=feedback) for one in candidates]
        tried += try_fusions(moved, lexical, again, development, context.tick)
    best = best_of(tried)
    alone = {name: score_ranking(ranking, development) for name, ranking in (("bm25", lexical), ("dense", dense))}
    write_fusion(context.out_dir, best.fusion, {**alone, "tried": [one.row() for one in tried]})
    return StageOutput(summarise(best.fusion, best.score, alone))


@dataclass(frozen=True, slots=True)
class Tried:
    """A fusion and its nDCG@10 on the held-out queries."""

    fusion: Fusion
    score: float

    def row(self) -> dict[str, Any]:
        """What is written of it."""
        return {
            "method": self.fusion.method,
            "weight": self.fusion.weight,
            "feedback_rate": self.fusion.feedback.rate if self.fusion.feedback else 0.0,
            MEASURE: self.score,
        }


def try_fusions(
    fusions: Sequence[Fusion], lexical: Rankings, dense: Rankings, development: DevelopmentSet, tick: Tick
) -> list[Tried]:
    """Measure each. `tick` is told after each one, and may raise to stop."""
    tried: list[Tried] = []
    for fusion in fusions:
        tried.append(Tried(fusion, score_ranking(fusion.fuse(lexical, dense, DEPTH), development)))
        tick(len(tried), len(fusions), "ways to put them together measured")
    return tried


def best_of(tried: Sequence[Tried]) -> Tried:
    """The one of the best score, the first of equals."""
    return max(tried, key=lambda one: one.score)


def score_ranking(rankings: Rankings, development: DevelopmentSet) -> float:
    """nDCG@10 on the held-out queries."""
    return measure(development.qrels, rankings).mean[MEASURE]


def summarise(fusion: Fusion, score: float, alone: dict[str, float]) -> dict[str, Any]:
    """The numbers of a choice and a sentence that reads them."""
    how = "Their ranks are put together"
    if fusion.weight is not None:
        how = f"Keyword search counts {1 - fusion.weight:.0%}, the bi-encoder {fusion.weight:.0%}"
    feedback = fusion.feedback
    if feedback is not None:
        how += (
            "; the bi-encoder searches twice, the second time for what the question and the first "
            f"{feedback.documents} documents found have in common"
        )
    return {
        "method": fusion.method,
        **({} if fusion.weight is None else {"weight": fusion.weight}),
        "feedback_rate": feedback.rate if feedback else 0.0,
        f"dev_{MEASURE}": score,
        f"dev_{MEASURE}_bm25": alone["bm25"],
        f"dev_{MEASURE}_dense": alone["dense"],
        "sentence": f"{how}: {MEASURE} {score:.3f} on the held-out questions, against {alone['bm25']:.3f} of keyword "
        f"search and {alone['dense']:.3f} of the bi-encoder alone.",
    }


def _model_folder(config: FuseConfig, context: StageContext) -> Path:
    if "train" in context.inputs:
        return context.inputs["train"] / _MODEL_FOLDER
    return encoder_folder(config.base, context.models)
