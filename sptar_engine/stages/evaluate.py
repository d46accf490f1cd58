"""evaluate: rank the test queries with BM25 or a dense retriever over the whole corpus, exactly, and measure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sptar_engine.artifacts import write_json
from sptar_engine.catalog import encoder_folder
from sptar_engine.configs import EvaluateConfig
from sptar_engine.data.beir import CORPUS_FILE, read_corpus, read_qrels, read_queries
from sptar_engine.data.lines import count_lines
from sptar_engine.errors import InputError
from sptar_engine.evaluation.metrics import measure
from sptar_engine.evaluation.trec import write_run
from sptar_engine.records import Hit, Metrics, Qrels, Rankings
from sptar_engine.retrieval.lexical import LexicalSearcher, build_or_open
from sptar_engine.stage import StageContext, StageOutput

RUN_FILE = "run.trec"
METRICS_FILE = "metrics.json"
_SPLIT = "test"
_CHUNK = 256  # queries that BM25 searches between two ticks

Search = Callable[[dict[str, str], Path, EvaluateConfig, StageContext], Rankings]


def run(config: EvaluateConfig, context: StageContext) -> StageOutput:
    """Write run.trec and metrics.json. Raises InputError when there are no test queries."""
    prepare = context.input("prepare")
    qrels = read_qrels(prepare, _SPLIT)
    texts = read_queries(prepare)
    queries = {query_id: texts[query_id].text for query_id in qrels.grades}
    if not queries:
        raise InputError(f"{prepare} has no test queries; an evaluation needs some.")
    search: Search = _bm25 if config.retriever == "bm25" else _dense
    rankings = search(queries, prepare, config, context)
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


def _bm25(queries: dict[str, str], prepare: Path, config: EvaluateConfig, context: StageContext) -> Rankings:
    corpus = prepare / CORPUS_FILE
    total = count_lines(corpus)
    index = build_or_open(corpus, context.cache, lambda done: context.tick(done, total, "documents indexed"))
    rankings: dict[str, Sequence[Hit]] = {}
    query_ids = list(queries)
    with LexicalSearcher(index, config.k1, config.b) as searcher:
        for start in range(0, len(query_ids), _CHUNK):
            chunk = {query_id: queries[query_id] for query_id in query_ids[start : start + _CHUNK]}
            rankings.update(searcher.search(chunk, config.depth))
            context.tick(len(rankings), len(queries), "queries searched")
    return rankings


def _dense(queries: dict[str, str], prepare: Path, config: EvaluateConfig, context: StageContext) -> Rankings:
    from sptar_engine.retrieval.dense import encode, encode_corpus, search  # torch: BM25 does not need it
    from sptar_engine.retrieval.encoder import load_bi_encoder
    from sptar_engine.runtime import prepare_torch

    prepare_torch(0, config.threads)
    trained = context.inputs.get("train")
    folder = trained / "model" if trained else encoder_folder(config.base, context.models)
    model = load_bi_encoder(folder, config.max_length, context.device)
    doc_ids, document_vectors = encode_corpus(
        model, read_corpus(prepare), config.max_length,
        lambda done, total: context.tick(done, total, "documents encoded"),
    )  # fmt: skip
    query_vectors = encode(model, list(queries.values()), config.max_length)
    rankings: Rankings = search(list(queries), query_vectors, doc_ids, document_vectors, config.depth)
    return rankings
