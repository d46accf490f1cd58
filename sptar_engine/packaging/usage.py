"""How a packaged retriever of each family is loaded and used, in the words of its card. Light: no tensor library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_PLAIN = ("sentence-similarity", "feature-extraction")


@dataclass(frozen=True, slots=True)
class Usage:
    """What a family's card says. `loader` is the class of sentence-transformers that reads the folder in one line.

    `example` is the module of this package that goes along as load_example.py. `task` and `tags` are a model hub's.
    `gives` says what the model makes of texts, with {dimensions} and {similarity}, and {layer} for what became of an
    adapter's; `untrained` is what it is when no training helped, with {projected} for fewer dimensions.
    """

    title: str
    loader: str
    example: str
    task: str
    tags: tuple[str, ...]
    gives: str
    releases: str
    untrained: str = "unchanged"


_SINCE_5_4 = "Releases of sentence-transformers before 5.4 do not read this folder."
_THIS_ONE = "Load it with the pinned release of sentence-transformers; older ones may not read this folder."

USAGES: Mapping[str, Usage] = {
    "bi_encoder": Usage(
        "bi-encoder",
        "SentenceTransformer",
        "load_example",
        "sentence-similarity",
        _PLAIN,
        "`model.encode_query(texts)` and `model.encode_document(texts)` give vectors of {dimensions} numbers,\n"
        "compared by {similarity}.{towers}",
        _SINCE_5_4,
    ),
    "adapter": Usage(
        "bi-encoder with an embedding adapter",
        "SentenceTransformer",
        "load_example",
        "sentence-similarity",
        _PLAIN,
        "`model.encode(texts)` gives vectors of {dimensions} numbers, compared by {similarity}. {layer}",
        _SINCE_5_4,
    ),
    "late_interaction": Usage(
        "late-interaction",
        "MultiVectorEncoder",
        "load_example_late_interaction",
        "feature-extraction",
        ("multi-vector", "colbert", "late-interaction"),
        "`model.encode_query(texts)` and `model.encode_document(texts)` give a vector of {dimensions} numbers for\n"
        "each token; `model.similarity` compares them by {similarity}. An index of a collection is many times larger\n"
        "than a bi-encoder's; where that is too large, let it put the first hits of another search in order.",
        _THIS_ONE,
        "with a vector for each token{projected} and unchanged else",
    ),
    "cross_encoder": Usage(
        "cross-encoder",
        "CrossEncoder",
        "load_example_cross_encoder",
        "text-ranking",
        ("cross-encoder", "reranker"),
        "`model.rank(query, documents)` puts documents in order; `model.predict(pairs)` gives the raw scores. It\n"
        "cannot search a collection by itself: a keyword search (BM25) finds the documents, and it was chosen and\n"
        "measured on putting the first {rerank_depth} hits of one in order. Hits beyond those keep their order below."
        "{beside}",
        _THIS_ONE,
    ),
    "sparse": Usage(
        "learned sparse",
        "SparseEncoder",
        "load_example_sparse",
        "feature-extraction",
        ("sparse-encoder", "sparse"),
        "`model.encode_query(texts)` and `model.encode_document(texts)` give vectors of {dimensions} numbers, most of\n"
        "them 0, compared by {similarity}. {kind}",
        _THIS_ONE,
    ),
}
"""By `train.family`."""
