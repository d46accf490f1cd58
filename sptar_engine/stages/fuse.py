"""fuse: choose on the held-out queries how BM25 and a bi-encoder, trained or not, are put together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sptar_engine.catalog import encoder_folder
from sptar_engine.configs import FuseConfig
from sptar_engine.evaluation.metrics import measure
from sptar_engine.records import Rankings
from sptar_engine.retrieval.fusion import Fusion, candidate_fusions, write_fusion
from sptar_engine.retrieval.ranking import SearchSpace, open_ranker
from sptar_engine.runtime import prepare_torch
from sptar_engine.stage import StageContext, StageOutput
from sptar_engine.training.development import DEPTH, MEASURE, DevelopmentSet, read_development_set
from sptar_engine.training.development_corpus import development_folder, search_words

_MODEL_FOLDER = "model"  # of a training's result


def run(config: FuseConfig, context: StageContext) -> StageOutput:
    """Write fusion.json with the best way by held-out nDCG@10, of equal ones the simplest.

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
    dense = open_ranker("dense", space, model=_model_folder(config, context)).rank(
        development.queries, config.depth, context.tick
    )
    tried = candidate_fusions(config.method, config.weights, config.rank_constant, config.depth)
    chosen, scores = choose_fusion(tried, lexical, dense, development)
    alone = {name: score_ranking(ranking, development) for name, ranking in (("bm25", lexical), ("dense", dense))}
    rows = [
        {"method": one.method, "weight": one.weight, MEASURE: score} for one, score in zip(tried, scores, strict=True)
    ]
    write_fusion(context.out_dir, chosen, {**alone, "tried": rows})
    return StageOutput(summarise(chosen, max(scores), alone))


def choose_fusion(
    tried: Sequence[Fusion], lexical: Rankings, dense: Rankings, development: DevelopmentSet
) -> tuple[Fusion, list[float]]:
    """The fusion of the best held-out score, the first of equals, and the score of each."""
    scores = [score_ranking(fusion.fuse(lexical, dense, DEPTH), development) for fusion in tried]
    return tried[scores.index(max(scores))], scores


def score_ranking(rankings: Rankings, development: DevelopmentSet) -> float:
    """nDCG@10 on the held-out queries."""
    return measure(development.qrels, rankings).mean[MEASURE]


def summarise(fusion: Fusion, score: float, alone: dict[str, float]) -> dict[str, Any]:
    """The numbers of a choice and a sentence that reads them."""
    how = "Their ranks are put together"
    if fusion.weight is not None:
        how = f"Keyword search counts {1 - fusion.weight:.0%}, the bi-encoder {fusion.weight:.0%}"
    return {
        "method": fusion.method,
        **({} if fusion.weight is None else {"weight": fusion.weight}),
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
