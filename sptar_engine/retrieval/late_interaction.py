"""Late interaction (ColBERT, arXiv 2004.12832): a vector for each token, and MaxSim.

A document's score is the sum, over the query's tokens, of the best similarity with a token of the document, by
sentence-transformers' own function. Up to a limit all documents are scored, and no more of their vectors are in memory
than those of one block: 100,000 documents of 180 tokens would take 9 GB. Beyond the limit BM25's hits are put in order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sentence_transformers import MultiVectorEncoder
from torch import Tensor

from sptar_engine.artifacts import sha256_json
from sptar_engine.data.corpus import read_corpus
from sptar_engine.data.fingerprints import fingerprint
from sptar_engine.records import Corpus, Hit, Rankings, rank_hits
from sptar_engine.retrieval.best_hits import BestHits, Scores, places_by_id
from sptar_engine.retrieval.distinct import distinct_texts
from sptar_engine.retrieval.encoder import load_late_interaction
from sptar_engine.retrieval.progress import Progress

if TYPE_CHECKING:
    from sptar_engine.retrieval.ranking import Ranker, SearchSpace, Tick

_BLOCK = 256  # documents encoded and scored together: 24 MB of vectors, about ten seconds on two cores
_BATCH = 32  # texts in a forward pass
_CHUNK = 1 << 24  # numbers that a piece of MaxSim holds: 64 MB


class LateInteractionRanker:
    """Ranks by MaxSim."""

    def __init__(self, space: SearchSpace, folder: Path, exact_limit: int, candidates: Ranker) -> None:
        """Beyond `exact_limit` documents the hits of `candidates` are put in order, as many as are asked for."""
        self._space = space
        self._folder = folder
        self._exact_limit = exact_limit
        self._candidates = candidates

    def rank(self, queries: Mapping[str, str], depth: int, tick: Tick) -> Rankings:
        """See Ranker. Raises InputError for a folder that holds another kind of model."""
        space = self._space
        model = load_late_interaction(self._folder, space.max_length, space.device)
        corpus = read_corpus(space.dataset)
        if len(corpus) <= self._exact_limit:
            return search_tokens(model, queries, space, depth, tick)
        hits = self._candidates.rank(queries, depth, tick)
        return reorder_by_tokens(model, queries, hits, space, tick)


def search_tokens(
    model: MultiVectorEncoder, queries: Mapping[str, str], space: SearchSpace, depth: int, tick: Tick
) -> dict[str, list[Hit]]:
    """The `depth` documents of highest MaxSim for each query, of all documents; a stopped search goes on.

    A tie falls to the smaller id, and documents of equal text tie.
    """
    texts = distinct_texts(space.dataset)
    sorted_ids, places = places_by_id(texts.doc_ids)
    vectors = encode_queries(model, list(queries.values()))
    progress = Progress(space.scratch, sha256_json(["maxsim", list(queries.items()), depth]))
    best = BestHits.none()
    if state := progress.load():
        best = BestHits(state["rows"], state["keys"])
    start = int(state["done"]) if state else 0
    for first, block in texts.blocks(_BLOCK, start):
        scores = score_block(model, vectors, encode_documents(model, block))
        members = texts.rows(first, len(block))
        found = BestHits.of_block(scores[:, texts.numbers[members] - first], places[members], depth)
        best = best.merged(found, depth)
        done = first + len(block)
        progress.save(rows=best.rows, keys=best.keys, done=np.array(done))
        tick(done, texts.count, "documents encoded and compared")
    return best.rankings(list(queries), sorted_ids)


def reorder_by_tokens(
    model: MultiVectorEncoder, queries: Mapping[str, str], hits: Rankings, space: SearchSpace, tick: Tick
) -> dict[str, list[Hit]]:
    """The same hits of each query in the order of MaxSim; a stopped search goes on. Each text is encoded once."""
    corpus, vectors = read_corpus(space.dataset), encode_queries(model, list(queries.values()))
    listed = [list(hits.get(query_id, ())) for query_id in queries]
    texts = sorted(_places_by_text(listed, corpus).items())
    progress = Progress(space.scratch, sha256_json(["maxsim of hits", list(queries.items()), len(texts)]))
    state = progress.load()
    width = max(map(len, listed), default=0)
    scores = state["scores"] if state else np.zeros((len(listed), width), dtype=np.float32)
    for start in range(int(state["done"]) if state else 0, len(texts), _BLOCK):
        block = [places for _, places in texts[start : start + _BLOCK]]
        examples = [listed[row][column].doc_id for (row, column), *_ in block]
        documents = encode_documents(model, [corpus[doc_id].content for doc_id in examples])
        pairs = [(place, document) for places, document in zip(block, documents, strict=True) for place in places]
        found = model.similarity_pairwise(
            [vectors[row] for (row, _), _ in pairs], [document for _, document in pairs], chunk_elements=_CHUNK
        )
        rows, columns = zip(*(place for place, _ in pairs), strict=True)
        scores[rows, columns] = found.cpu().numpy()
        done = start + len(block)
        progress.save(scores=scores, done=np.array(done))
        tick(done, len(texts), "documents encoded and compared")
    rescored = (
        (Hit(hit.doc_id, float(scores[row, column])) for column, hit in enumerate(some))
        for row, some in enumerate(listed)
    )
    return {query_id: rank_hits(some) for query_id, some in zip(queries, rescored, strict=True)}


def _places_by_text(listed: Sequence[Sequence[Hit]], corpus: Corpus) -> dict[int, list[tuple[int, int]]]:
    """Where the hits with the same text stand: (row of the query, place among its hits), by the text's fingerprint."""
    texts: dict[str, int] = {}
    found: dict[int, list[tuple[int, int]]] = {}
    for row, some in enumerate(listed):
        for column, hit in enumerate(some):
            if hit.doc_id not in texts:
                texts[hit.doc_id] = fingerprint(corpus[hit.doc_id].content)
            found.setdefault(texts[hit.doc_id], []).append((row, column))
    return found


def encode_queries(model: MultiVectorEncoder, texts: Sequence[str]) -> list[Tensor]:
    """A matrix for each query, (tokens, dimensions)."""
    return list(model.encode_query(list(texts), batch_size=_BATCH, show_progress_bar=False, convert_to_numpy=False))


def encode_documents(model: MultiVectorEncoder, texts: Sequence[str]) -> list[Tensor]:
    """A matrix for each document, (tokens, dimensions). Equal texts are encoded once."""
    unique = list(dict.fromkeys(texts))
    made = model.encode_document(unique, batch_size=_BATCH, show_progress_bar=False, convert_to_numpy=False)
    matrices = dict(zip(unique, made, strict=True))
    return [matrices[text] for text in texts]


def score_block(model: MultiVectorEncoder, queries: list[Tensor], documents: list[Tensor]) -> Scores:
    """MaxSim of all queries with all documents: (queries, documents)."""
    scores: Scores = model.similarity(queries, documents, chunk_elements=_CHUNK).cpu().numpy()
    return scores
