"""Spearman's rank correlation with its permutation test."""

import pytest
from scipy import stats

from sptar_engine.evaluation.relation import relate


def test_one_falls_as_the_other_rises() -> None:
    found = relate([(20.0, 0.42), (25.0, 0.41), (30.0, 0.40), (40.0, 0.36)])
    # Of the 24 orders one is as it is and one is its mirror: p = 2/24.
    assert (found.spearman, found.p, found.pairs) == (pytest.approx(-1), pytest.approx(2 / 24), 4)


@pytest.mark.parametrize("second", [[3.0, 1.0, 2.0, 6.0, 4.0, 5.0], [1.0, 1.0, 2.0, 2.0, 3.0, 9.0]])
def test_correlation_is_scipys(second) -> None:
    first = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    found = relate(list(zip(first, second, strict=True)))
    assert found.spearman == pytest.approx(stats.spearmanr(first, second).statistic)
    exact = stats.permutation_test(
        (first,), lambda x: stats.spearmanr(x, second).statistic, permutation_type="pairings", n_resamples=720
    )
    assert found.p == pytest.approx(exact.pvalue)


def test_many_pairs_give_the_same_p_again() -> None:
    pairs = [(float(number), float(number * 7 % 12)) for number in range(12)]
    assert relate(pairs) == relate(pairs)


@pytest.mark.parametrize("pairs", [[], [(1.0, 2.0), (2.0, 3.0)], [(1.0, 2.0), (2.0, 2.0), (3.0, 2.0)]])
def test_too_few_pairs_or_no_spread_say_nothing(pairs) -> None:
    assert relate(pairs) is None
