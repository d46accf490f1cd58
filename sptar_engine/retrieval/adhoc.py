"""One query against a dataset's corpus, for `sptar search`."""

from __future__ import annotations

from pathlib import Path

from sptar_engine.catalog import encoder_folder
from sptar_engine.data.beir import CORPUS_FILE, read_corpus
from sptar_engine.records import Document, Hit
from sptar_engine.retrieval.lexical import LexicalSearcher, build_or_open

BM25 = "bm25"
_QUERY = "query"
_K1, _B = 0.9, 0.4  # as the stages search by default
_MAX_LENGTH = 256  # tokens, likewise


def search_folder(
    dataset: Path, query: str, retriever: str, cache: Path, models: Path, depth: int
) -> list[tuple[Hit, Document]]:
    """The first `depth` hits with their documents, best first.

    `retriever` is `bm25`, a base retriever of the catalogue or the folder of a trained one. A dense one encodes the
    whole corpus for the occasion: under a minute for 1,400 abstracts on two cores. Raises InputError and ConfigError.
    """
    corpus = read_corpus(dataset)
    if retriever == BM25:
        searcher = LexicalSearcher(build_or_open(dataset / CORPUS_FILE, cache), _K1, _B)
        hits = searcher.search({_QUERY: query}, depth)[_QUERY]
    else:
        folder = encoder_folder(retriever, models)
        hits = _dense({document.doc_id: document.content for document in corpus.documents()}, query, folder, depth)
    return [(hit, corpus[hit.doc_id]) for hit in hits]


def _dense(documents: dict[str, str], query: str, folder: Path, depth: int) -> list[Hit]:
    from sptar_engine.retrieval.dense import encode, search  # torch and sentence-transformers: BM25 needs neither
    from sptar_engine.retrieval.encoder import load_bi_encoder

    model = load_bi_encoder(folder, _MAX_LENGTH, "cpu")
    vectors = encode(model, list(documents.values()), _MAX_LENGTH)
    return search([_QUERY], encode(model, [query], _MAX_LENGTH), list(documents), vectors, depth)[_QUERY]
