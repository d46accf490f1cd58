"""Two rankings of the same queries, put together: by their ranks or by their scores. Light: no tensor library.

Reciprocal rank fusion is Cormack, Clarke and Büttcher's (SIGIR 2009). The weighted sum of scores brought to 0 to 1
is the convex combination that Bruch, Gai and Ingber (arXiv 2210.11934) found better than it once its one weight is
chosen on a few queries. With feedback the dense side searches a second time, by vectors that have moved towards what
the two found together (`retrieval.feedback`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sptar_engine.artifacts import read_json, write_json
from sptar_engine.errors import ArtifactError
from sptar_engine.records import Hit, Rankings, rank_hits

FUSION_FILE = "fusion.json"
RECIPROCAL_RANK, WEIGHTED, CHOSEN = "reciprocal_rank", "weighted", "chosen"


@dataclass(frozen=True, slots=True)
class Fusion:
    """How a keyword ranking and a dense one become one.

    `weight` is that of the dense score, from 0 to 1, for `weighted`; None for `reciprocal_rank`, which has none.
    `depth` hits of each side count. `feedback` says that the dense ranking is that of a second look.
    """

    method: str
    weight: float | None
    rank_constant: int
    depth: int
    feedback: Feedback | None = None

    def fuse(self, lexical: Rankings, dense: Rankings, depth: int) -> dict[str, list[Hit]]:
        """The first `depth` hits of each query of `lexical` or `dense`, ordered by (-score, doc_id)."""
        return {
            query_id: rank_hits(self._scored(lexical.get(query_id, ()), dense.get(query_id, ())), depth)
            for query_id in dict.fromkeys((*lexical, *dense))
        }

    def _scored(self, lexical: Sequence[Hit], dense: Sequence[Hit]) -> Iterable[Hit]:
        first, second = lexical[: self.depth], dense[: self.depth]
        if self.weight is None:
            scores = _sum(_reciprocal(first, self.rank_constant), _reciprocal(second, self.rank_constant))
        else:
            scores = _sum(_scaled(first, 1 - self.weight), _scaled(second, self.weight))
        return (Hit(doc_id, score) for doc_id, score in scores.items())


@dataclass(frozen=True, slots=True)
class Feedback:
    """A second look of the dense side: vectors move by `rate` towards the first `documents` of `first`, a fusion."""

    first: Fusion
    documents: int
    rate: float


def candidate_fusions(method: str, weights: int, rank_constant: int, depth: int) -> list[Fusion]:
    """What is tried, the simpler first: of equally good ones the first is taken.

    Reciprocal rank fusion has nothing to choose; of the weights, `weights` steps from 0 to 1, the one nearest to equal
    shares stands first, since of several that are as good on a few queries the middle one is the least peculiar.
    """
    steps = sorted(range(weights + 1), key=lambda step: (abs(2 * step - weights), step))
    by_rank = [Fusion(RECIPROCAL_RANK, None, rank_constant, depth)]
    by_score = [Fusion(WEIGHTED, step / weights, rank_constant, depth) for step in steps]
    return {RECIPROCAL_RANK: by_rank, WEIGHTED: by_score, CHOSEN: by_rank + by_score}[method]


def write_fusion(folder: Path, fusion: Fusion, dev: Mapping[str, Any]) -> None:
    """Write fusion.json; `dev` is what was measured to choose it."""
    write_json(folder / FUSION_FILE, {**asdict(fusion), "dev": dev})


def read_fusion(folder: Path) -> Fusion:
    """Read it back. Raises ArtifactError when it is missing or broken."""
    row = read_json(folder / FUSION_FILE)
    try:
        return _fusion(row)
    except (AttributeError, KeyError, TypeError) as error:
        raise ArtifactError(f"{folder / FUSION_FILE} is not whole: {error}") from error


def _fusion(row: Mapping[str, Any]) -> Fusion:
    again = row.get("feedback")
    feedback = Feedback(_fusion(again["first"]), again["documents"], again["rate"]) if again else None
    return Fusion(row["method"], row["weight"], row["rank_constant"], row["depth"], feedback)


def _reciprocal(hits: Sequence[Hit], constant: int) -> dict[str, float]:
    return {hit.doc_id: 1 / (constant + rank) for rank, hit in enumerate(hits, 1)}


def _scaled(hits: Sequence[Hit], weight: float) -> dict[str, float]:
    """Scores brought to 0 (the last hit, or not found) to 1 (the first) within the query; all 1 when they are equal."""
    if not hits:
        return {}
    low, high = min(hit.score for hit in hits), max(hit.score for hit in hits)
    width = high - low
    return {hit.doc_id: weight * ((hit.score - low) / width if width else 1.0) for hit in hits}


def _sum(one: dict[str, float], other: dict[str, float]) -> dict[str, float]:
    return {doc_id: one.get(doc_id, 0.0) + other.get(doc_id, 0.0) for doc_id in {**one, **other}}
