"""Learned sparse retrieval (SPLADE, arXiv 2109.10086; from an encoder without a word predictor, arXiv 2503.01776).

A text is a long vector of few values above zero, and the score a sum over the places that query and document share.
Searched exactly, as one product of sparse matrices.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_matrix, vstack
from sentence_transformers import SparseEncoder

from sptar_engine.artifacts import sha256_json
from sptar_engine.errors import InputError
from sptar_engine.records import Hit, Rankings
from sptar_engine.retrieval.best_hits import BestHits, Numbers, places_by_id
from sptar_engine.retrieval.distinct import DistinctTexts, distinct_texts
from sptar_engine.retrieval.encoder import load_sparse
from sptar_engine.retrieval.progress import Progress

if TYPE_CHECKING:
    from sptar_engine.retrieval.ranking import SearchSpace, Tick

_BLOCK = 1024  # documents encoded between two saves, under a minute on two cores
_BATCH = 32  # texts in a forward pass
_QUERIES = 64  # searched together
_COLUMNS = 1 << 16  # documents searched together: 32 MB of scores, and some 160 MB of SPLADE's vectors

Rows = Any
"""A scipy matrix of compressed rows, (texts, dimensions) in float64; scipy has no type information."""


class SparseRanker:
    """Ranks by the dot product, or the cosine where the model says so. A document that shares no place is no hit."""

    def __init__(self, space: SearchSpace, folder: Path) -> None:
        """`folder` is that of a SparseEncoder."""
        self._space = space
        self._folder = folder

    def rank(self, queries: Mapping[str, str], depth: int, tick: Tick) -> Rankings:
        """See Ranker. Raises InputError for a folder that holds another kind of model."""
        space = self._space
        model = load_sparse(self._folder, space.max_length, space.device)
        texts = distinct_texts(space.dataset)
        rows = encode_sparse(model, list(queries.values()), query=True)
        return search_sparse(list(queries), rows, texts, _encode_corpus(model, texts, space.scratch, tick), depth)


def encode_sparse(model: SparseEncoder, texts: Sequence[str], *, query: bool) -> Rows:
    """The vectors of texts, of length 1 where the model compares by cosine. Raises InputError for other measures."""
    if model.similarity_fn_name not in ("dot", "cosine"):
        raise InputError(f"A sparse encoder that compares by {model.similarity_fn_name} cannot be searched.")
    if not texts:
        return csr_matrix((0, model.get_embedding_dimension() or 0), dtype=np.float64)
    encode = model.encode_query if query else model.encode_document
    made = [
        encode(list(texts[start : start + _BATCH]), batch_size=_BATCH, convert_to_sparse_tensor=False, save_to_cpu=True)
        for start in range(0, len(texts), _BATCH)
    ]
    rows = vstack([csr_matrix(dense.numpy().astype(np.float64)) for dense in made], format="csr")
    return rows if model.similarity_fn_name == "dot" else _normalised(rows)


def search_sparse(
    query_ids: Sequence[str], queries: Rows, texts: DistinctTexts, blocks: Iterable[Rows], depth: int
) -> dict[str, list[Hit]]:
    """The `depth` documents of highest product with each query, ordered by (-score, doc_id), those above 0 alone.

    `blocks` have a row for each different text, in order; some `_COLUMNS` rows are in memory at a time, since those of
    a million documents would take gigabytes. Scores are float64 sums rounded to float32.
    """
    sorted_ids, places = places_by_id(texts.doc_ids)
    groups = [slice(start, start + _QUERIES) for start in range(0, len(query_ids), _QUERIES)]
    best = [BestHits.none() for _ in groups]
    for first, documents in _joined(blocks):
        members = texts.rows(first, documents.shape[0])
        for start in range(0, len(members), _COLUMNS):
            some = members[start : start + _COLUMNS]
            columns = documents[texts.numbers[some] - first].T.tocsr()
            best = [
                before.merged(_find(queries[group] @ columns, places[some], depth), depth)
                for group, before in zip(groups, best, strict=True)
            ]
    rankings: dict[str, list[Hit]] = {}
    for group, found in zip(groups, best, strict=True):
        rankings |= found.rankings(query_ids[group], sorted_ids)
    return rankings


def _joined(blocks: Iterable[Rows]) -> Iterator[tuple[int, Rows]]:
    """The blocks put together to `_COLUMNS` rows or a few more, with the number of the first row of each."""
    first, waiting, count = 0, list[Rows](), 0
    for block in blocks:
        waiting.append(block)
        count += block.shape[0]
        if count >= _COLUMNS:
            joined = vstack(waiting, format="csr")
            waiting.clear()  # or the rows would be there twice while they are searched
            yield first, joined
            first, count = first + count, 0
    if count:
        yield first, vstack(waiting, format="csr")


def _find(products: Rows, places: Numbers, depth: int) -> BestHits:
    """The best hits of a block of documents by their products with some queries, (queries, documents)."""
    found = BestHits.of_block(products.toarray().astype(np.float32), places, depth)
    shared = found.scores > 0
    return BestHits(found.rows[shared], found.keys[shared])


def _encode_corpus(model: SparseEncoder, texts: DistinctTexts, scratch: Path | None, tick: Tick) -> Iterator[Rows]:
    """Every different text of the corpus, block by block; blocks that a stopped encoding has finished are read."""
    width = model.get_embedding_dimension() or 0
    for first, block in texts.blocks(_BLOCK):
        progress = Progress(scratch, sha256_json(["sparse", first]))
        if state := progress.load():
            rows = csr_matrix((state["data"], state["indices"], state["indptr"]), shape=(len(block), width))
        else:
            rows = encode_sparse(model, block, query=False)
            progress.save(data=rows.data, indices=rows.indices, indptr=rows.indptr)
        tick(first + len(block), texts.count, "documents encoded")
        yield rows


def _normalised(rows: Rows) -> Rows:
    lengths = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
    return csr_matrix(rows.multiply((1 / np.where(lengths > 0, lengths, 1.0))[:, None]))
