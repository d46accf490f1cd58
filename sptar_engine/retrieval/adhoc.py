"""One query against a dataset's corpus, for `sptar search`."""

from __future__ import annotations

from pathlib import Path

from sptar_engine.artifacts import content_hash, sha256_file, sha256_json
from sptar_engine.catalog import encoder_folder
from sptar_engine.data.beir import CORPUS_FILE, read_corpus
from sptar_engine.records import Document, Hit
from sptar_engine.retrieval.kinds import RETRIEVERS, model_type
from sptar_engine.retrieval.ranking import SearchSpace, open_ranker
from sptar_engine.retrieval.reordering import reading_fusion

BM25 = "bm25"
_QUERY = "query"
_READ = 50  # hits that a cross-encoder reads when its folder does not say
_NEVER = 0  # documents up to which late interaction searches all of them: for one query BM25's hits are enough


def search_folder(
    dataset: Path, query: str, retriever: str, cache: Path, models: Path, depth: int
) -> list[tuple[Hit, Document]]:
    """The first `depth` hits with their documents, best first.

    `retriever` is `bm25`, a base retriever of the catalogue or the folder of a trained one of any family; late
    interaction and a cross-encoder put BM25's first hits in order. The first search of a corpus indexes or encodes it
    (under a minute for 1,400 abstracts on two cores); later ones find that in `cache`. Raises InputError and
    ConfigError.
    """
    folder = None if retriever == BM25 else encoder_folder(retriever, models)
    kind = RETRIEVERS[model_type(folder)] if folder else BM25
    # Late interaction and a cross-encoder read some dozen documents for a query, which is not worth keeping.
    scratch = _scratch(dataset, folder, cache) if folder and kind == "sparse" else None
    beside = reading_fusion(folder) if folder else None
    ranker = open_ranker(
        kind, SearchSpace(dataset=dataset, cache=cache, scratch=scratch), model=folder, exact_limit=_NEVER,
        rerank_depth=beside.depth if beside else _READ,
    )  # fmt: skip
    hits = ranker.rank({_QUERY: query}, depth, lambda *_: None)[_QUERY]
    corpus = read_corpus(dataset)
    return [(hit, corpus[hit.doc_id]) for hit in hits]


def _scratch(dataset: Path, folder: Path, cache: Path) -> Path:
    """What a search keeps belongs to one model and one corpus."""
    key = sha256_json([content_hash(folder), sha256_file(dataset / CORPUS_FILE)])
    return cache / f"search-{key[:16]}"
