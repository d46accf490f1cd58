"""Paired tests by hand, against scipy, and the rules of the verdict."""

import itertools

import numpy as np
import pytest
from scipy import stats

from sptar_engine.errors import InputError
from sptar_engine.evaluation.compare import (
    average_seeds,
    compare,
    compare_arms,
    holm,
    interval,
    queries_needed,
    sentence,
    sign_flip_p,
)


def by_query(values) -> dict[str, float]:
    return {f"q{number}": float(value) for number, value in enumerate(values)}


def test_sign_flip_of_three_equal_gains_is_two_of_eight() -> None:
    # Of the 8 ways to sign (1, 1, 1) only +++ and --- have a sum as far from 0 as 3.
    assert sign_flip_p(np.array([1.0, 1.0, 1.0])) == 0.25


def test_sign_flip_counts_every_flip_of_few_queries() -> None:
    differences = np.array([0.5, -0.25, 1.0, 0.125])
    sums = [abs(np.dot(signs, differences)) for signs in itertools.product((-1, 1), repeat=4)]
    assert sign_flip_p(differences) == sum(total >= abs(differences.sum()) for total in sums) / 16


def test_random_flips_agree_with_scipys_permutation_test() -> None:
    differences = np.random.default_rng(1).normal(0.1, 0.4, 60)
    theirs = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=20_000, rng=np.random.default_rng(2)
    )
    assert sign_flip_p(differences) == pytest.approx(theirs.pvalue, abs=0.015)


def test_no_difference_has_p_1_and_cannot_be_told() -> None:
    same = by_query([0.1, 0.5, 0.9] * 20)
    found = compare(same, same)
    assert (found.difference, found.p, found.t_p, found.verdict) == (0.0, 1.0, 1.0, "cannot tell")
    assert found.queries_needed is None


def test_t_test_is_the_paired_one() -> None:
    rng = np.random.default_rng(3)
    ours, other = rng.random(40), rng.random(40)
    found = compare(by_query(ours), by_query(other))
    assert found.t_p == pytest.approx(stats.ttest_rel(ours, other).pvalue)


def test_holm_by_hand() -> None:
    # sorted: 0.01 x 3, 0.02 x 2, 0.04 x 1; each at least the one before
    assert holm({"a": 0.04, "b": 0.01, "c": 0.02}) == pytest.approx({"b": 0.03, "c": 0.04, "a": 0.04})
    assert holm({"a": 0.9, "b": 0.8}) == {"b": 1.0, "a": 1.0}


def test_interval_holds_the_mean_and_is_that_of_a_normal_mean() -> None:
    values = np.random.default_rng(4).normal(0.5, 0.1, 400)
    found = interval(values.tolist())
    half = 1.96 * 0.1 / 20
    assert found.mean == pytest.approx(values.mean())
    assert found.mean - found.low == pytest.approx(half, rel=0.15)
    assert found.high - found.mean == pytest.approx(half, rel=0.15)


def test_queries_needed_by_hand() -> None:
    # mean 0.1, standard deviation 0.2: ((1.95996 + 0.84162) * 2)^2 = 31.4
    differences = np.array([0.3, -0.1] * 500)
    assert queries_needed(differences) == 32


def test_clear_gain_is_better_from_both_sides() -> None:
    other = np.random.default_rng(5).random(60) * 0.5
    ours = other + np.random.default_rng(6).random(60) * 0.2
    assert compare(by_query(ours), by_query(other)).verdict == "better"
    assert compare(by_query(other), by_query(ours)).verdict == "worse"


def test_few_queries_need_a_clear_interval() -> None:
    clear = compare(by_query([0.9] * 10), by_query([0.5] * 10))
    assert (clear.queries, clear.verdict) == (10, "better")
    two = compare(by_query([0.9] * 2), by_query([0.5] * 2))
    assert two.p == 0.5 and two.verdict == "cannot tell"


def test_adjusted_p_decides() -> None:
    # 60 queries, 40 of which gain and 20 lose the same: p is about 0.013 alone, 4 x 0.013 among four comparisons.
    base = by_query([0.5] * 60)
    arms = {"gain": by_query([0.6] * 40 + [0.4] * 20)} | {f"same{number}": base for number in range(3)} | {"bm25": base}
    alone, among = compare(arms["gain"], base), compare_arms({a: {"nDCG@10": v} for a, v in arms.items()})["gain"]
    assert 0.0125 < alone.p < 0.05 and alone.verdict == "better"
    assert among["versus"]["bm25"]["p"] == pytest.approx(4 * alone.p)
    assert among["versus"]["bm25"]["verdict"] == "cannot tell"


def test_intervals_of_the_two_directions_mirror_each_other(three_arms) -> None:
    found = compare_arms(three_arms)
    one, back = found["sptar"]["versus"]["bm25"], found["bm25"]["versus"]["sptar"]
    assert (one["low"], one["high"]) == pytest.approx((-back["high"], -back["low"]))
    assert one["t_p"] == pytest.approx(back["t_p"])


def test_one_arm_alone_has_intervals_and_nobody_to_stand_against() -> None:
    found = compare_arms({"bm25": {"nDCG@10": {"a": 0.25, "b": 0.75}}})
    assert found == {"bm25": {"nDCG@10": {"mean": 0.5, "low": 0.25, "high": 0.75}, "versus": {}}}


def test_one_query_is_compared_without_a_warning() -> None:
    found = compare({"a": 1.0}, {"a": 0.5})
    assert (found.difference, found.p, found.verdict, found.queries_needed) == (0.5, 1.0, "cannot tell", None)


def test_different_queries_are_refused() -> None:
    with pytest.raises(InputError, match="different queries"):
        compare({"a": 1.0}, {"b": 1.0})


def test_seeds_are_averaged_per_query_before_any_test() -> None:
    runs = [{"nDCG@10": {"a": 0.0, "b": 1.0}}, {"nDCG@10": {"a": 1.0, "b": 1.0}}]
    assert average_seeds(runs) == {"nDCG@10": {"a": 0.5, "b": 1.0}}
    with pytest.raises(InputError, match="different queries"):
        average_seeds([runs[0], {"nDCG@10": {"a": 1.0}}])


@pytest.fixture
def three_arms() -> dict:
    rng = np.random.default_rng(7)
    base = rng.random(80) * 0.5
    values = {"bm25": base, "zero_shot": base + rng.normal(0, 0.05, 80), "sptar": base + rng.random(80) * 0.2}
    return {arm: {"nDCG@10": by_query(row), "AP": by_query(row)} for arm, row in values.items()}


def test_arms_stand_against_every_other_with_holm_over_those_against_the_same(three_arms) -> None:
    found = compare_arms(three_arms)
    assert set(found["sptar"]) == {"nDCG@10", "AP", "versus"}
    assert set(found["sptar"]["versus"]) == {"bm25", "zero_shot"}
    raw = {arm: compare(three_arms[arm]["nDCG@10"], three_arms["bm25"]["nDCG@10"]).p for arm in ("zero_shot", "sptar")}
    assert {arm: found[arm]["versus"]["bm25"]["p"] for arm in raw} == holm(raw)


def test_same_values_give_the_same_numbers_again(three_arms) -> None:
    assert compare_arms(three_arms) == compare_arms(three_arms)


def test_sentence_says_what_the_numbers_say(three_arms) -> None:
    comparison = {"dataset": "x", "arms": compare_arms(three_arms)}
    better = sentence("sptar", "bm25", comparison)
    assert better.startswith("sptar finds better results than bm25: nDCG@10 0.")
    assert better.endswith("80 queries: likely real.")
    unclear = sentence("zero_shot", "bm25", comparison)
    assert unclear.startswith("zero_shot against bm25: cannot tell yet (nDCG@10 0.")
    assert "more judged queries" in unclear
