"""evaluate: rank the test queries over the whole corpus with what an arm has made, and measure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sptar_engine.artifacts import write_json
from sptar_engine.catalog import encoder_folder
from sptar_engine.configs import EvaluateConfig
from sptar_engine.data.beir import read_qrels, read_queries
from sptar_engine.errors import InputError
from sptar_engine.evaluation.metrics import measure
from sptar_engine.evaluation.trec import write_run
from sptar_engine.records import Metrics, Qrels
from sptar_engine.retrieval.fusion import read_fusion
from sptar_engine.retrieval.ranking import Ranker, SearchSpace, open_ranker
from sptar_engine.stage import StageContext, StageOutput

RUN_FILE = "run.trec"
METRICS_FILE = "metrics.json"
_MODEL_FOLDER = "model"  # of a training's result
_SPLIT = "test"
_LEXICAL = "bm25"
_FROM_BASE = ("dense", "hybrid")  # can rank with the untrained base: nothing of it is drawn by chance


def run(config: EvaluateConfig, context: StageContext) -> StageOutput:
    """Write run.trec and metrics.json.

    Raises InputError when there are no test queries, no model for a retriever that needs a trained one, or one of
    another kind.
    """
    prepare = context.input("prepare")
    qrels = read_qrels(prepare, _SPLIT)
    texts = read_queries(prepare)
    queries = {query_id: texts[query_id].text for query_id in qrels.grades}
    if not queries:
        raise InputError(f"{prepare} has no test queries; an evaluation needs some.")
    if config.retriever != _LEXICAL:
        from sptar_engine.runtime import prepare_torch  # BM25 does not need torch

        prepare_torch(0, config.threads)
    rankings = _open_ranker(config, context).rank(queries, config.depth, context.tick)
    metrics = measure(qrels, rankings, config.min_grade)
    write_run(context.out_dir / RUN_FILE, rankings, tag=config.retriever)
    write_json(context.out_dir / METRICS_FILE, {"mean": metrics.mean, "per_query": metrics.per_query})
    return StageOutput(summarise(metrics, qrels))


def summarise(metrics: Metrics, qrels: Qrels) -> dict[str, Any]:
    """The means, the number of queries, and whether Judged@10 says anything (it needs judgements of grade 0)."""
    measured = len(next(iter(metrics.per_query.values())))
    has_zero = any(grade == 0 for grades in qrels.grades.values() for grade in grades.values())
    main = ", ".join(f"{name} {metrics.mean[name]:.3f}" for name in ("nDCG@10", "RR@10", "R@100"))
    return {
        **metrics.mean,
        "queries": measured,
        "has_judged_non_relevant": has_zero,
        "sentence": f"{main} over {measured} test queries",
    }


def _open_ranker(config: EvaluateConfig, context: StageContext) -> Ranker:
    space = SearchSpace(
        dataset=context.input("prepare"), cache=context.cache, scratch=context.scratch, device=context.device,
        max_length=config.max_length, k1=config.k1, b=config.b,
    )  # fmt: skip
    fused = context.inputs.get("fuse")
    return open_ranker(
        config.retriever, space, model=_model_folder(config, context), rerank_depth=config.rerank_depth,
        exact_limit=config.exact_limit, fusion=read_fusion(fused) if fused else None,
    )  # fmt: skip


def _model_folder(config: EvaluateConfig, context: StageContext) -> Path | None:
    if "train" in context.inputs:
        return context.inputs["train"] / _MODEL_FOLDER
    return encoder_folder(config.base, context.models) if config.retriever in _FROM_BASE else None
