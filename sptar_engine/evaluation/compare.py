"""Is one retriever better than another? Paired tests and intervals over the same queries (DESIGN section 4)."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from sptar_engine.errors import InputError
from sptar_engine.evaluation.baselines import BETTER, CANNOT_TELL, KEPT, WORSE, stands_untrained
from sptar_engine.evaluation.columns import columns

PerQuery = Mapping[str, Mapping[str, float]]
"""`[measure][query_id]`, as in metrics.json."""

DECIDING = "nDCG@10"

_ROUNDS = 10_000  # of the bootstrap and of the random sign flips: p down to 1e-4, limits steady to about 1e-3
_EXACT = 13  # up to so many queries every one of the 2^n flips is tried
_ALPHA = 0.05
_MIN_QUERIES = 30  # below, a verdict needs a clear interval too
_BLOCK = 1 << 20  # random numbers held at a time, 8 MiB
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
    return _intervals(np.asarray(values, dtype=np.float64)[:, None])[0]


def compare(ours: Mapping[str, float], other: Mapping[str, float]) -> Comparison:
    """Compare values by query id, two retrievers only, so nothing is adjusted.

    Raises InputError when the two were not measured on the same queries.
    """
    queries = _shared_queries([ours, other])
    differences = _columns([ours], queries) - _columns([other], queries)
    return _decide(differences[:, 0], _intervals(differences)[0], float(_sign_flip_ps(differences)[0]))


def sign_flip_p(differences: NDArray[np.float64]) -> float:
    """Two-sided p-value of the mean difference when the sign of each could as well be the other one.

    Exact for few queries, else from 10,000 random flips, the observed one counted among them.
    """
    return float(_sign_flip_ps(differences[:, None])[0])


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


def spread_of_seeds(runs: Sequence[PerQuery]) -> dict[str, Any]:
    """How far runs that differ only in the training seed lie apart: `count`, the means, and their standard deviation.

    The means stand under the measure's name, in the order of the runs; there are two runs at least.
    """
    means = [statistics.fmean(run[DECIDING].values()) for run in runs]
    return {"count": len(means), DECIDING: means, "spread": statistics.stdev(means)}


def compare_arms(arms: Mapping[str, PerQuery]) -> dict[str, dict[str, Any]]:
    """Return for each arm its measures with intervals, and under `versus` how it stands against every other arm.

    `versus` is on nDCG@10. The arms of a group (see `columns`) that stand against the same one are a family of Holm's
    adjustment: a column of the table is read as a whole. What stands in no group together is adjusted over all arms.
    Raises InputError when the arms were not measured on the same queries.
    """
    queries = _shared_queries([values for per_query in arms.values() for values in per_query.values()])
    measured = [(arm, measure) for arm, per_query in arms.items() for measure in per_query]
    means = _intervals(_columns([arms[arm][measure] for arm, measure in measured], queries))
    table: dict[str, dict[str, Any]] = {arm: {} for arm in arms}
    for (arm, measure), mean in zip(measured, means, strict=True):
        table[arm][measure] = asdict(mean)
    versus = _compare_pairs({arm: _columns([arms[arm][DECIDING]], queries)[:, 0] for arm in arms})
    for arm, row in table.items():
        row["versus"] = {other: asdict(versus[arm, other]) for other in arms if other != arm}
    return table


def sentence(arm: str, other: str, comparison: Mapping[str, Any]) -> str:
    """Say in one sentence how an arm stands against another; `comparison` is what `sptar compare --json` prints."""
    arms = comparison["arms"]
    versus, ours, theirs = arms[arm]["versus"][other], arms[arm][DECIDING]["mean"], arms[other][DECIDING]["mean"]
    numbers = (
        f"{DECIDING} {ours:.3f} against {theirs:.3f}, {versus['difference']:+.3f}, 95 % between "
        f"{versus['low']:+.3f} and {versus['high']:+.3f}, {versus['queries']} queries"
    )
    if stands_untrained(arms, arm, other):
        return f"{arm} against {other}: {KEPT} ({numbers})."
    if versus["verdict"] == CANNOT_TELL:
        return f"{arm} against {other}: cannot tell yet ({numbers}); {_needed(versus)}."
    return f"{arm} finds {versus['verdict']} results than {other}: {numbers}: likely real."


def _compare_pairs(values: Mapping[str, NDArray[np.float64]]) -> dict[tuple[str, str], Comparison]:
    """Every arm against every other one."""
    pairs = list(permutations(values, 2))
    if not pairs:
        return {}
    differences = np.column_stack([values[arm] - values[other] for arm, other in pairs])  # (queries, pairs)
    raw = dict(zip(pairs, _sign_flip_ps(differences).tolist(), strict=True))
    adjusted: dict[tuple[str, str], float] = {}
    for group in (*columns(values), tuple(values)):
        for other in group:
            family = holm({arm: raw[arm, other] for arm in group if arm != other})
            for arm, p in family.items():
                adjusted.setdefault((arm, other), p)  # the first group that holds both counts
    found = zip(pairs, differences.T, _intervals(differences), strict=True)
    # A pair of arms stands in two families. The larger value holds for both, or "better" one way round could be
    # "cannot tell" the other.
    larger = {pair: max(adjusted[pair], adjusted[pair[1], pair[0]]) for pair in pairs}
    return {pair: _decide(column, mean, larger[pair]) for pair, column, mean in found}


def _decide(differences: NDArray[np.float64], mean: Interval, p: float) -> Comparison:
    clear = mean.low > 0 or mean.high < 0
    decided = p < _ALPHA and (len(differences) >= _MIN_QUERIES or clear)
    verdict = CANNOT_TELL if not decided else BETTER if mean.mean > 0 else WORSE
    return Comparison(
        mean.mean, mean.low, mean.high, p, _t_test_p(differences), verdict,
        len(differences), queries_needed(differences),
    )  # fmt: skip


def _needed(versus: Mapping[str, Any]) -> str:
    needed = versus["queries_needed"]
    if needed is None:
        return "the two are equal on these queries"
    if needed <= versus["queries"]:
        return "a few more judged queries may decide it"
    return f"about {needed - versus['queries']} more judged queries needed for a difference of this size"


def _shared_queries(measured: Sequence[Mapping[str, float]]) -> list[str]:
    for values in measured[1:]:
        if odd := sorted(set(values) ^ set(measured[0])):
            raise InputError(
                f"Two arms were measured on different queries, for example {odd[0]!r}; evaluate both again."
            )
    return sorted(measured[0])


def _columns(measured: Sequence[Mapping[str, float]], queries: Sequence[str]) -> NDArray[np.float64]:
    """The values of one query in a row: (queries, measured)."""
    return np.array([[values[query_id] for values in measured] for query_id in queries], dtype=np.float64)


def _t_test_p(differences: NDArray[np.float64]) -> float:
    if len(differences) < 2 or float(differences.std()) < 1e-12:
        return 1.0 if abs(float(differences.mean())) < 1e-12 else 0.0
    return float(stats.ttest_1samp(differences, 0.0).pvalue)


def _sign_flip_ps(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """The p-value of each column of differences, (queries, columns); all columns see the same flips."""
    seen = np.abs(columns.sum(axis=0))
    edge = seen - 1e-9 * np.maximum(1.0, seen)  # the same sum in another order differs in its last bits
    count = len(columns)
    if count <= _EXACT:
        bits = (np.arange(2**count)[:, None] >> np.arange(count)) & 1
        exact: NDArray[np.float64] = np.mean(np.abs((1.0 - 2.0 * bits) @ columns) >= edge, axis=0)
        return exact
    rng = np.random.default_rng(_SEED)
    extreme = np.zeros(columns.shape[1])
    for rows in _blocks(count):
        signs = rng.integers(0, 2, (rows, count), dtype=np.int8) * 2.0 - 1.0
        extreme += np.count_nonzero(np.abs(signs @ columns) >= edge, axis=0)
    return (extreme + 1) / (_ROUNDS + 1)


def _intervals(columns: NDArray[np.float64]) -> list[Interval]:
    """The interval of the mean of each column, (queries, columns).

    All columns see the same resamples of the queries, so the interval of a - b mirrors that of b - a.
    """
    count = len(columns)
    if not count:
        raise InputError("There are no test queries to compare.")
    rng = np.random.default_rng(_SEED)
    resampled = []
    for rows in _blocks(count):
        drawn = rng.integers(0, count, (rows, count)) + np.arange(rows)[:, None] * count
        times = np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count)
        resampled.append(times.astype(np.float64) @ columns / count)  # (rows, columns)
    lows, highs = np.percentile(np.concatenate(resampled), [2.5, 97.5], axis=0)
    means = columns.mean(axis=0)
    # The mean of equal values can differ from each of its resampled means in the last bit.
    limits = zip(means, np.minimum(means, lows), np.maximum(means, highs), strict=True)
    return [Interval(float(mean), float(low), float(high)) for mean, low, high in limits]


def _blocks(count: int) -> Iterator[int]:
    """Sizes of blocks of rounds, each round with `count` random numbers, that make up _ROUNDS."""
    size = max(1, _BLOCK // count)
    for start in range(0, _ROUNDS, size):
        yield min(size, _ROUNDS - start)
