"""Do two numbers go together? Spearman's rank correlation with a permutation test, for a handful of pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

_ROUNDS = 10_000  # random orders where there are more; up to 7 pairs every order is tried (7! = 5,040)
_SEED = 20230716  # as sptar_engine.evaluation.compare
_LEAST = 3


@dataclass(frozen=True, slots=True)
class Relation:
    """`spearman` from -1 (one falls where the other rises) to 1; `p` is two-sided; `pairs` is how many there were."""

    spearman: float
    p: float
    pairs: int


def relate(pairs: Sequence[tuple[float, float]]) -> Relation | None:
    """Return the rank correlation of pairs of values; None for fewer than three, or where one of them never changes."""
    if len(pairs) < _LEAST:
        return None
    first, second = (_centred_ranks(column) for column in np.asarray(pairs, dtype=np.float64).T)
    length = float(np.sqrt((first**2).sum() * (second**2).sum()))
    if length == 0:
        return None

    def product(ranks: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
        moved = np.moveaxis(ranks, axis, -1)
        return np.asarray(moved @ second / length)

    found = stats.permutation_test(
        (first,), product, permutation_type="pairings", vectorized=True, n_resamples=_ROUNDS,
        rng=np.random.default_rng(_SEED),
    )  # fmt: skip
    return Relation(float(found.statistic), float(found.pvalue), len(pairs))


def _centred_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    ranks = stats.rankdata(values)  # equal values share the mean of their ranks
    return np.asarray(ranks - ranks.mean(), dtype=np.float64)
