"""A cross-encoder puts BM25's first hits in order (monoBERT, arXiv 1901.04085; BM25CE in SPTAR's paper).

It reads a query and a document together, so nothing can be computed before the query is there: BM25 chooses what is
read, and its scores may count beside those of the reading (`reordering.put_beside`). Hits beyond the depth keep BM25's
order below those that were read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import CrossEncoder

from sptar_engine.artifacts import read_json, sha256_json, write_json
from sptar_engine.data.corpus import read_corpus
from sptar_engine.errors import ArtifactError
from sptar_engine.records import Corpus, Hit, Rankings
from sptar_engine.retrieval.encoder import load_cross_encoder
from sptar_engine.retrieval.reordering import put_beside, reading_fusion, reorder

if TYPE_CHECKING:
    from sptar_engine.retrieval.ranking import Ranker, SearchSpace, Tick

_PART = 512  # pairs between two saves, under a minute on two cores
_BATCH = 32  # pairs in a forward pass: more does not pay on a CPU

Scores = NDArray[np.float32]
Pair = tuple[str, str]
"""The texts of a query and of a document."""


class CrossEncoderRanker:
    """Ranks BM25's first hits by a cross-encoder's score, and by BM25's as far as the model's folder says so."""

    def __init__(self, space: SearchSpace, folder: Path, rerank_depth: int, lexical: Ranker) -> None:
        """`lexical` finds what is put in order, its first `rerank_depth` hits."""
        self._space = space
        self._folder = folder
        self._rerank_depth = rerank_depth
        self._lexical = lexical

    def rank(self, queries: Mapping[str, str], depth: int, tick: Tick) -> Rankings:
        """See Ranker. Raises InputError for a folder that holds another kind of model."""
        space = self._space
        model = load_cross_encoder(self._folder, space.max_length, space.device)
        fusion = reading_fusion(self._folder)
        found = self._lexical.rank(queries, max(depth, self._rerank_depth), tick)
        first = {query_id: list(found.get(query_id, ()))[: self._rerank_depth] for query_id in queries}
        corpus, total = read_corpus(space.dataset), sum(map(len, first.values()))
        scores: dict[str, dict[str, float]] = {}
        done = 0
        for number, query_ids in enumerate(_parts(first)):
            part = {query_id: first[query_id] for query_id in query_ids}
            go_on = partial(_tick_from, tick, done, total)
            scores |= _kept(self._file(queries, number), partial(score_hits, model, queries, part, corpus, go_on))
            done += sum(map(len, part.values()))
            tick(done, total, "documents read")
        return {
            query_id: reorder(found.get(query_id, ()), put_beside(first[query_id], scores[query_id], fusion), depth)
            for query_id in queries
        }

    def _file(self, queries: Mapping[str, str], number: int) -> Path | None:
        """Where a part is kept; the folder's name says which search it belongs to."""
        scratch = self._space.scratch
        key = sha256_json([list(queries.items()), self._rerank_depth])[:16]
        return scratch / f"read-{key}" / f"part-{number:06d}.json" if scratch else None


def score_hits(
    model: CrossEncoder,
    queries: Mapping[str, str],
    hits: Rankings,
    corpus: Corpus,
    tick: Callable[[int, int], None] | None = None,
) -> dict[str, dict[str, float]]:
    """The score of each hit by query id and document id."""
    pairs = [(query_id, hit.doc_id) for query_id, some in hits.items() for hit in some]
    contents = {doc_id: corpus[doc_id].content for doc_id in dict.fromkeys(doc_id for _, doc_id in pairs)}
    scores = score_pairs(model, [(queries[query_id], contents[doc_id]) for query_id, doc_id in pairs], tick)
    found: dict[str, dict[str, float]] = {query_id: {} for query_id in hits}
    for (query_id, doc_id), score in zip(pairs, scores.tolist(), strict=True):
        found[query_id][doc_id] = score
    return found


def score_pairs(model: CrossEncoder, pairs: Sequence[Pair], tick: Callable[[int, int], None] | None = None) -> Scores:
    """The raw scores (logits) of pairs: (pairs,).

    Pairs of like length pass together. Equal pairs are read once, so their scores are equal to the last bit. `tick`
    is told once a batch how many of the pairs are done, and may raise to stop.
    """
    unique = sorted(set(pairs), key=lambda pair: (-len(pair[0]) - len(pair[1]), pair))
    found: dict[Pair, np.float32] = {}
    for start in range(0, len(unique), _BATCH):
        batch = unique[start : start + _BATCH]
        scores = model.predict(
            batch, batch_size=len(batch), show_progress_bar=False,
            activation_fn=torch.nn.Identity(),
        )  # fmt: skip
        found.update(zip(batch, np.asarray(scores, dtype=np.float32), strict=True))
        if tick:
            tick(len(pairs) * len(found) // len(unique), len(pairs))
    return np.array([found[pair] for pair in pairs], dtype=np.float32)


def _tick_from(tick: Tick, before: int, total: int, done: int, of_these: int) -> None:
    del of_these
    tick(before + done, total, "documents read")


def _parts(hits: Mapping[str, Sequence[Hit]]) -> Iterator[list[str]]:
    """Queries in groups with about as many hits, always the same groups."""
    part: list[str] = []
    count = 0
    for query_id, some in hits.items():
        part.append(query_id)
        count += len(some)
        if count >= _PART:
            yield part
            part, count = [], 0
    if part:
        yield part


def _kept(file: Path | None, work: Callable[[], dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """What an earlier attempt has kept, else the work's result, kept for the next one."""
    if file is None:
        return work()
    try:
        kept: dict[str, dict[str, float]] = read_json(file)
    except ArtifactError:
        kept = work()
        write_json(file, kept)
    return kept
