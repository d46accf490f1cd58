"""Unlabelled documents spread over the topics of the pool, chosen by the vectors of the base retriever."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sptar_engine.artifacts import content_hash, read_json, sha256_json, write_json
from sptar_engine.catalog import encoder_folder
from sptar_engine.configs import GenerateConfig
from sptar_engine.data.beir import write_corpus
from sptar_engine.data.diversity import spread_rows
from sptar_engine.data.seeds import read_documents, read_pool_ids
from sptar_engine.records import Document
from sptar_engine.stage import StageContext

_CANDIDATES = 8  # per document wanted: to encode them takes less time than to write a query for it
_MOST_CANDIDATES = 200_000  # some 400 MB of texts; beyond, two per document wanted
_FOLDER = "candidates"


def read_spread(config: GenerateConfig, context: StageContext) -> tuple[list[Document], int]:
    """Return `config.documents` documents in an order in which topics take turns, and the number of topics.

    They are chosen among the first of the pool, eight times as many but no more than 200,000 (or twice as many, if
    that is more), of which the base reads as much as the language model will. All are taken, and there are no topics,
    where the pool is not larger than what is wanted. A stopped run goes on.
    """
    prepare = context.input("prepare")
    most = min(_CANDIDATES * config.documents, max(_MOST_CANDIDATES, 2 * config.documents))
    candidates = read_pool_ids(prepare, most)
    if len(candidates) <= config.documents:
        return read_documents(prepare, candidates), 0
    key = sha256_json([config.base, config.documents, config.document_tokens, config.seed])[:16]
    place = context.scratch / f"spread-{key}.json"
    if not place.exists():
        write_json(place, _choose(candidates, config, context))
    chosen: Mapping[str, list[str] | int] = read_json(place)
    doc_ids, topics = chosen["doc_ids"], chosen["topics"]
    assert isinstance(doc_ids, list) and isinstance(topics, int)
    return read_documents(prepare, doc_ids), topics


def _choose(candidates: list[str], config: GenerateConfig, context: StageContext) -> dict[str, list[str] | int]:
    from sptar_engine.retrieval.corpus_vectors import open_corpus_vectors  # these load sentence-transformers
    from sptar_engine.retrieval.encoder import load_bi_encoder
    from sptar_engine.runtime import prepare_torch

    prepare_torch(config.seed, config.threads)
    base = encoder_folder(config.base, context.models)
    model = load_bi_encoder(base, config.document_tokens, context.device)
    doc_ids, vectors = open_corpus_vectors(
        model, content_hash(base), _write_candidates(candidates, context), config.document_tokens, context.scratch,
        lambda done, total: context.tick(done, total, "candidate documents encoded"),
    )  # fmt: skip
    rows, topics = spread_rows(vectors, config.documents, config.seed)
    return {"doc_ids": [doc_ids[row] for row in rows], "topics": topics}


def _write_candidates(candidates: list[str], context: StageContext) -> Path:
    """A corpus of the candidates alone, in the pool's random order."""
    folder = context.scratch / _FOLDER
    write_corpus(folder, read_documents(context.input("prepare"), candidates))
    return folder
