"""One query against a dataset's corpus, for `sptar search`."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from sptar_engine.artifacts import content_hash, sha256_file, sha256_json
from sptar_engine.catalog import encoder_folder
from sptar_engine.data.beir import CORPUS_FILE, read_corpus
from sptar_engine.records import Document, Hit
from sptar_engine.retrieval.lexical import LexicalSearcher, build_or_open

BM25 = "bm25"
_QUERY = "query"
_MAX_LENGTH = 256  # tokens, as evaluate's default


def search_folder(
    dataset: Path, query: str, retriever: str, cache: Path, models: Path, depth: int
) -> list[tuple[Hit, Document]]:
    """The first `depth` hits with their documents, best first.

    `retriever` is `bm25`, a base retriever of the catalogue or the folder of a trained one. The first search of a
    corpus indexes or encodes it (under a minute for 1,400 abstracts on two cores); later ones find that in `cache`.
    Raises InputError and ConfigError.
    """
    corpus = read_corpus(dataset)
    if retriever == BM25:
        hits = _lexical(dataset, query, cache, depth)
    else:
        hits = _dense(dataset, query, encoder_folder(retriever, models), cache, depth)
    return [(hit, corpus[hit.doc_id]) for hit in hits]


def _lexical(dataset: Path, query: str, cache: Path, depth: int) -> list[Hit]:
    with LexicalSearcher(build_or_open(dataset / CORPUS_FILE, cache)) as searcher:
        return searcher.search({_QUERY: query}, depth)[_QUERY]


def _dense(dataset: Path, query: str, folder: Path, cache: Path, depth: int) -> list[Hit]:
    import numpy as np  # with torch and sentence-transformers below: BM25 needs none of them

    from sptar_engine.retrieval.dense import encode, encode_corpus, search
    from sptar_engine.retrieval.encoder import load_bi_encoder

    corpus = read_corpus(dataset)
    model = load_bi_encoder(folder, _MAX_LENGTH, "cpu")
    key = sha256_json([content_hash(folder), sha256_file(dataset / CORPUS_FILE), _MAX_LENGTH])
    stored = cache / f"vectors-{key[:16]}.npy"
    if not stored.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as aside:
            np.save(Path(aside) / stored.name, encode_corpus(model, corpus, _MAX_LENGTH)[1])
            os.replace(Path(aside) / stored.name, stored)
    query_vector = encode(model, [query], _MAX_LENGTH)
    return search([_QUERY], query_vector, list(corpus), np.load(stored), depth)[_QUERY]
