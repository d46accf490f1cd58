"""Is one retriever better than another? Paired tests and intervals over the same queries (DESIGN section 4)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from sptar_engine.errors import InputError

PerQuery = Mapping[str, Mapping[str, float]]
"""`[measure][query_id]`, as in metrics.json."""

DECIDING = "nDCG@10"
BETTER, WORSE, CANNOT_TELL = "better", "worse", "cannot tell"

_ROUNDS = 10_000  # of the bootstrap and of the random sign flips: p down to 1e-4, limits steady to about 1e-3
_EXACT = 13  # up to so many queries every one of the 2^n flips is tried
_ALPHA = 0.05
_MIN_QUERIES = 30  # below, a verdict needs a clear interval too
_BLOCK = 1 << 22  # random numbers held at a time, 32 MiB
_SEED = 20230716  # the day of arXiv 2307.08303; the same tests give the same numbers


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over queries with its 95 % bootstrap interval (percentile)."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """A retriever against another on the same queries.

    `difference` with `low` and `high` is the mean of the differences and its unadjusted 95 % bootstrap interval. `p`
    is of the sign-flip permutation test, two-sided, Holm-adjusted where several retrievers stand against the same
    one, and decides; `t_p` of the paired t-test, unadjusted. `queries_needed` is the number of queries with which a
    difference of this size would be seen in 80 of 100 cases (two-sided, 5 %); None when there is no difference.
    """

    difference: float
    low: float
    high: float
    p: float
    t_p: float
    verdict: str
    queries: int
    queries_needed: int | None


def interval(values: Sequence[float]) -> Interval:
    """Mean and 95 % bootstrap interval of the mean. Raises InputError when there is no value."""
    if not values:
        raise InputError("There are no test queries to compare.")
    array = np.asarray(values, dtype=np.float64)
    low, high = np.percentile(_resampled_means(array), [2.5, 97.5])
    mean = float(array.mean())
    return Interval(mean, min(mean, float(low)), max(mean, float(high)))


def compare(ours: Mapping[str, float], other: Mapping[str, float], p: float | None = None) -> Comparison:
    """Compare values by query id; `p` is the adjusted p-value where there is one.

    Raises InputError when the two were not measured on the same queries.
    """
    differences = _differences(ours, other)
    found = interval(differences.tolist())
    raw = sign_flip_p(differences) if p is None else p
    clear = found.low > 0 or found.high < 0
    decided = raw < _ALPHA and (len(differences) >= _MIN_QUERIES or clear)
    verdict = CANNOT_TELL if not decided else BETTER if found.mean > 0 else WORSE
    return Comparison(
        found.mean, found.low, found.high, raw, _t_test_p(differences), verdict,
        len(differences), queries_needed(differences),
    )  # fmt: skip


def sign_flip_p(differences: NDArray[np.float64]) -> float:
    """Two-sided p-value of the mean difference when the sign of each could as well be the other one.

    Exact for few queries, else from 10,000 random flips, the observed one counted among them.
    """
    seen = abs(differences.sum())
    edge = seen - 1e-12 * max(1.0, seen)  # sums in another order differ in the last bits
    if len(differences) <= _EXACT:
        bits = (np.arange(2 ** len(differences))[:, None] >> np.arange(len(differences))) & 1
        return float(np.mean(np.abs((1 - 2 * bits) @ differences) >= edge))
    rng = np.random.default_rng(_SEED)
    extreme, done = 0, 0
    while done < _ROUNDS:
        rows = min(_ROUNDS - done, max(1, _BLOCK // len(differences)))
        signs = rng.integers(0, 2, (rows, len(differences)), dtype=np.int8) * 2 - 1
        extreme += int(np.count_nonzero(np.abs(signs @ differences) >= edge))
        done += rows
    return (extreme + 1) / (_ROUNDS + 1)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm's step-down adjustment of several p-values (Scandinavian Journal of Statistics 6, 1979)."""
    adjusted: dict[str, float] = {}
    running = 0.0
    for place, name in enumerate(sorted(p_values, key=lambda name: (p_values[name], name))):
        running = max(running, min(1.0, (len(p_values) - place) * p_values[name]))
        adjusted[name] = running
    return adjusted


def queries_needed(differences: NDArray[np.float64]) -> int | None:
    """Queries to see a mean difference like this one with 80 % power at a two-sided 5 % (normal approximation)."""
    mean = abs(float(differences.mean()))
    if mean < 1e-12 or len(differences) < 2:
        return None
    factor = float(stats.norm.ppf(1 - _ALPHA / 2) + stats.norm.ppf(0.8))
    return max(2, math.ceil((factor * float(differences.std(ddof=1)) / mean) ** 2))


def average_seeds(runs: Sequence[PerQuery]) -> dict[str, dict[str, float]]:
    """Mean per query over runs that differ only in the training seed; done before any test."""
    if len({frozenset(run[DECIDING]) for run in runs}) > 1:
        raise InputError("The runs of an arm were measured on different queries and cannot be averaged.")
    return {
        measure: {query_id: math.fsum(run[measure][query_id] for run in runs) / len(runs) for query_id in values}
        for measure, values in runs[0].items()
    }


def compare_arms(arms: Mapping[str, PerQuery]) -> dict[str, dict[str, Any]]:
    """Return for each arm its measures with intervals, and under `versus` how it stands against every other arm.

    `versus` is on nDCG@10. All arms that stand against the same one are a family of Holm's adjustment: the column
    of a table is read as a whole.
    """
    versus = {other: _against(other, arms) for other in arms}
    return {
        arm: {
            **{measure: _as_dict(interval(list(values.values()))) for measure, values in per_query.items()},
            "versus": {other: _as_dict(versus[other][arm]) for other in arms if other != arm},
        }
        for arm, per_query in arms.items()
    }


def sentence(arm: str, other: str, comparison: Mapping[str, Any]) -> str:
    """Say in one sentence how an arm stands against another; `comparison` is what `sptar compare --json` prints."""
    arms = comparison["arms"]
    versus, ours, theirs = arms[arm]["versus"][other], arms[arm][DECIDING]["mean"], arms[other][DECIDING]["mean"]
    numbers = (
        f"{DECIDING} {ours:.3f} against {theirs:.3f}, {versus['difference']:+.3f}, 95 % between "
        f"{versus['low']:+.3f} and {versus['high']:+.3f}, {versus['queries']} queries"
    )
    if versus["verdict"] == CANNOT_TELL:
        return f"{arm} against {other}: cannot tell yet ({numbers}); {_needed(versus)}."
    return f"{arm} finds {versus['verdict']} results than {other}: {numbers}: likely real."


def _against(other: str, arms: Mapping[str, PerQuery]) -> dict[str, Comparison]:
    theirs = arms[other][DECIDING]
    raw = {arm: sign_flip_p(_differences(values[DECIDING], theirs)) for arm, values in arms.items() if arm != other}
    return {arm: compare(arms[arm][DECIDING], theirs, p) for arm, p in holm(raw).items()}


def _needed(versus: Mapping[str, Any]) -> str:
    needed = versus["queries_needed"]
    if needed is None:
        return "the two are equal on these queries"
    if needed <= versus["queries"]:
        return "a few more judged queries may decide it"
    return f"about {needed - versus['queries']} more judged queries needed for a difference of this size"


def _differences(ours: Mapping[str, float], other: Mapping[str, float]) -> NDArray[np.float64]:
    if odd := sorted(set(ours) ^ set(other)):
        raise InputError(f"Two arms were measured on different queries, for example {odd[0]!r}; evaluate both again.")
    return np.array([ours[query_id] - other[query_id] for query_id in sorted(ours)], dtype=np.float64)


def _t_test_p(differences: NDArray[np.float64]) -> float:
    if len(differences) < 2 or float(differences.std()) < 1e-12:
        return 1.0 if abs(float(differences.mean())) < 1e-12 else 0.0
    return float(stats.ttest_1samp(differences, 0.0).pvalue)


def _resampled_means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    rng = np.random.default_rng(_SEED)
    means, done = np.empty(_ROUNDS), 0
    while done < _ROUNDS:
        rows = min(_ROUNDS - done, max(1, _BLOCK // len(values)))
        means[done : done + rows] = values[rng.integers(0, len(values), (rows, len(values)))].mean(axis=1)
        done += rows
    return means


def _as_dict(value: Interval | Comparison) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__slots__}
