"""Rankers: whatever puts the documents of a corpus in order for queries, each behind the same method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sptar_engine.errors import ConfigError, InputError
from sptar_engine.records import Rankings
from sptar_engine.retrieval.fusion import Fusion
from sptar_engine.retrieval.lexical_ranking import LexicalRanker


class Tick(Protocol):
    """Told once per batch what is done, of how much, and of what; may raise to stop."""

    def __call__(self, done: int, total: int, message: str, /) -> None:
        """Report."""


class Ranker(Protocol):
    """Puts documents in order."""

    def rank(self, queries: Mapping[str, str], depth: int, tick: Tick) -> Rankings:
        """The first `depth` hits of each query (text by id), ordered by (-score, doc_id); an empty list for none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchSpace:
    """What is searched, where derived data lies, and the settings that all rankers of an evaluation share.

    `dataset` is a folder with a corpus.jsonl. `cache` holds what any later call finds by its content: indexes and
    vectors. `scratch` holds what only a resumed attempt at the same work needs; without one nothing of it is kept.
    """

    dataset: Path
    cache: Path
    scratch: Path | None = None
    device: str = "cpu"
    max_length: int = 256
    k1: float = 0.9
    b: float = 0.4


def open_ranker(
    kind: str,
    space: SearchSpace,
    *,
    model: Path | None = None,
    rerank_depth: int = 50,
    exact_limit: int = 100_000,
    fusion: Fusion | None = None,
) -> Ranker:
    """The ranker of an `evaluate.retriever`; models are loaded by `rank`.

    `model` is the folder of the model that ranks, for a hybrid of its dense partner. Raises InputError when a kind
    that needs one has none, ConfigError for an unknown kind.
    """
    lexical = LexicalRanker(space)
    if kind == "bm25":
        return lexical
    if model is None:
        raise InputError(
            f"Ranking with {kind} needs a trained model: what an untrained one adds to its base is drawn by chance."
        )
    # Each of these modules loads torch, which BM25 does not need.
    if kind == "dense":
        from sptar_engine.retrieval.dense_ranking import DenseRanker

        return DenseRanker(space, model)
    if kind == "late_interaction":
        from sptar_engine.retrieval.late_interaction import LateInteractionRanker

        return LateInteractionRanker(space, model, exact_limit, lexical)
    if kind == "cross_encoder":
        from sptar_engine.retrieval.reranking import CrossEncoderRanker

        return CrossEncoderRanker(space, model, rerank_depth, lexical)
    if kind == "sparse":
        from sptar_engine.retrieval.sparse import SparseRanker

        return SparseRanker(space, model)
    if kind != "hybrid":
        raise ConfigError("evaluate.retriever", f"{kind!r} is no way to rank")
    if fusion is None:
        raise InputError(
            "Ranking with a hybrid needs the result of fuse, which says how its two sides are put together."
        )
    from sptar_engine.retrieval.dense_ranking import DenseRanker
    from sptar_engine.retrieval.hybrid import HybridRanker

    return HybridRanker(lexical, DenseRanker(space, model), fusion)
