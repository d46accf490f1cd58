"""The decisions on weak pairs, by each rule, on lists."""

from __future__ import annotations

import pytest

from sptar_engine.data.verdicts import LikelihoodRule, RankRule, Rule, judge, kept_by_k
from sptar_engine.records import WeakPair

_SEED = "which bird is bright yellow like a falcon"


def pair(weak_id: str, query: str, rank: int | None) -> WeakPair:
    return WeakPair(weak_id, query, f"doc-{weak_id}", "p", rank)


def by_bm25(pairs: list[WeakPair], top_k: int) -> RankRule:
    return RankRule({pair.weak_id: pair.rank for pair in pairs}, top_k)


def reasons(pairs: list[WeakPair], seeds: tuple[str, ...] = (), rule: Rule | None = None) -> dict[str, str]:
    verdicts = judge(pairs, seeds, 0.9, rule or by_bm25(pairs, 30))
    return {verdict.pair.weak_id: verdict.reason for verdict in verdicts}


def test_query_is_kept_up_to_the_threshold() -> None:
    pairs = [pair("a", "one wing", 1), pair("b", "two wings", 30), pair("c", "three", 31), pair("d", "four", None)]
    assert reasons(pairs) == {"a": "", "b": "", "c": "rank", "d": "rank"}


def test_query_without_a_word_is_empty() -> None:
    assert reasons([pair("a", "", 1), pair("b", " ?! ", 1)]) == {"a": "empty", "b": "empty"}


def test_near_copy_of_a_seed_query_is_dropped() -> None:
    pairs = [pair("a", "Which bird is bright yellow, like a falcon?", 1), pair("b", "which bird is dull", 1)]
    assert reasons(pairs, (_SEED,)) == {"a": "copy", "b": ""}


def test_of_duplicates_the_best_ranked_stays_and_of_equals_the_first() -> None:
    pairs = [
        pair("a", "One wing", 5),
        pair("b", "one  wing?", 2),
        pair("c", "ONE WING", 2),
        pair("d", "one wing", None),
    ]
    assert reasons(pairs) == {"a": "duplicate", "b": "", "c": "duplicate", "d": "duplicate"}


def test_curve_has_the_count_for_every_threshold() -> None:
    pairs = [pair("a", "one", 1), pair("b", "two", 3), pair("c", "three", 3), pair("d", "four", None)]
    copied = [*pairs, pair("e", _SEED, 1), pair("f", "one", 2)]
    curve = kept_by_k(judge(copied, [_SEED], 0.9, by_bm25(copied, 2)), by_bm25(copied, 2), 5)
    assert curve == [1, 1, 3, 3, 3]
    for k in range(1, 6):
        assert curve[k - 1] == sum(verdict.kept for verdict in judge(copied, [_SEED], 0.9, by_bm25(copied, k)))


def test_another_ranking_decides_in_the_place_of_bm25() -> None:
    pairs = [pair("a", "one wing", 1), pair("b", "two wings", 90), pair("c", "three", 2)]
    rule = RankRule({"a": 2, "b": 1, "c": None}, 1, "round_trip", " of a dense search")
    assert reasons(pairs, rule=rule) == {"a": "round_trip", "b": "", "c": "round_trip"}
    assert kept_by_k(judge(pairs, (), 0.9, rule), rule, 3) == [1, 2, 2]
    assert rule.describe(2) == "2 do not find their document within the first 1 of a dense search"


def test_of_duplicates_the_one_that_the_deciding_ranking_prefers_stays() -> None:
    pairs = [pair("a", "one wing", 1), pair("b", "one wing?", 5)]
    assert reasons(pairs, rule=RankRule({"a": 7, "b": 3}, 10)) == {"a": "duplicate", "b": ""}
    assert reasons(pairs, rule=LikelihoodRule({"a": 2.0, "b": 1.0}, 1.0)) == {"a": "duplicate", "b": ""}


@pytest.mark.parametrize(
    ("share", "kept"), [(0.01, "c"), (0.25, "c"), (0.26, "cb"), (0.5, "cb"), (0.75, "cbd"), (1.0, "cbda")]
)
def test_the_likeliest_share_is_kept(share: float, kept: str) -> None:
    # of four; b and d are equally likely, and the lower id goes first
    pairs = [pair("a", "one", 1), pair("b", "two", 1), pair("c", "three", 1), pair("d", "four", 1)]
    rule = LikelihoodRule({"a": 3.0, "b": 2.0, "c": 1.0, "d": 2.0}, share)
    found = reasons(pairs, rule=rule)
    assert {weak_id for weak_id, reason in found.items() if not reason} == set(kept)
    assert set(found.values()) <= {"", "likelihood"}


def test_the_share_is_of_the_pairs_without_a_flaw() -> None:
    pairs = [pair("a", "", 1), pair("b", _SEED, 1), pair("c", "two", 1), pair("d", "two", 1), pair("e", "five", 1)]
    rule = LikelihoodRule(dict.fromkeys("abcde", 1.0) | {"e": 9.0}, 0.5)
    assert reasons(pairs, (_SEED,), rule) == {
        "a": "empty", "b": "copy", "c": "", "d": "duplicate", "e": "likelihood",
    }  # fmt: skip
