"""The measures by hand, and against a plain implementation."""

import math
import random

import pytest

from sptar_engine.errors import InputError
from sptar_engine.evaluation.metrics import MEASURES, measure
from sptar_engine.records import Hit, Qrels


def ranking(*doc_ids: str) -> list[Hit]:
    return [Hit(doc_id, 10.0 - place) for place, doc_id in enumerate(doc_ids)]


def test_measures_by_hand() -> None:
    # Found at 2 and 4, grades 1 and 2; a third one of grade 1 is missed; "z" was judged 0, "u" never.
    metrics = measure(Qrels({"q": {"a": 1, "b": 2, "c": 1, "z": 0}}), {"q": ranking("z", "a", "u", "b")})
    gain = 1 / math.log2(3) + 2 / math.log2(5)
    ideal = 2 + 1 / math.log2(3) + 1 / math.log2(4)
    expected = {"nDCG@10": gain / ideal, "RR@10": 1 / 2, "R@100": 2 / 3, "AP": (1 / 2 + 2 / 4) / 3, "Judged@10": 3 / 4}
    assert metrics.mean == pytest.approx(expected)
    assert {name: values["q"] for name, values in metrics.per_query.items()} == pytest.approx(expected)
    assert tuple(metrics.mean) == tuple(metrics.per_query) == MEASURES


def test_query_without_hits_scores_0_and_counts() -> None:
    metrics = measure(
        Qrels({"found": {"a": 1}, "none": {"a": 1}, "empty": {"a": 1}}), {"found": ranking("a"), "empty": []}
    )
    assert metrics.per_query["nDCG@10"] == {"found": 1.0, "none": 0.0, "empty": 0.0}
    assert metrics.mean == pytest.approx(dict.fromkeys(MEASURES, 1 / 3))


def test_queries_without_a_relevant_document_and_unjudged_ones_do_not_count() -> None:
    qrels = Qrels({"q": {"a": 1}, "only zero": {"a": 0}, "nothing": {}})
    metrics = measure(qrels, {key: ranking("a") for key in ("q", "only zero", "unjudged")})
    assert all(list(values) == ["q"] for values in metrics.per_query.values())


def test_higher_grade_can_be_asked_for() -> None:
    qrels = Qrels({"q": {"a": 1, "b": 2}, "low": {"a": 1}})
    metrics = measure(qrels, {"q": ranking("a", "b"), "low": ranking("a")}, min_grade=2)
    assert {name: metrics.per_query[name] for name in ("RR@10", "AP", "R@100")} == {
        "RR@10": {"q": 0.5}, "AP": {"q": 0.5}, "R@100": {"q": 1.0},
    }  # fmt: skip
    assert metrics.mean["nDCG@10"] == pytest.approx((1 + 2 / math.log2(3)) / (2 + 1 / math.log2(3)))


def test_order_of_the_ranking_counts_where_scores_are_equal() -> None:
    # trec_eval would put the larger id first.
    metrics = measure(Qrels({"q": {"a": 1}}), {"q": [Hit("a", 0.5), Hit("b", 0.5)]})
    assert metrics.mean["RR@10"] == 1.0


def test_hits_from_the_11th_on_count_for_recall_and_ap_alone() -> None:
    metrics = measure(Qrels({"q": {"a": 1}}), {"q": ranking(*(f"u{number}" for number in range(10)), "a")})
    assert metrics.mean == pytest.approx({"nDCG@10": 0, "RR@10": 0, "R@100": 1, "AP": 1 / 11, "Judged@10": 0})


def test_negative_grade_is_judged_and_gains_nothing() -> None:
    metrics = measure(Qrels({"q": {"spam": -2, "a": 1}}), {"q": ranking("spam", "a")})
    assert metrics.mean["nDCG@10"] == pytest.approx(1 / math.log2(3))
    assert metrics.mean["Judged@10"] == 1.0


def test_nothing_to_measure_is_refused() -> None:
    with pytest.raises(InputError, match="No judged query has a document of grade 2 or more"):
        measure(Qrels({"q": {"a": 1}}), {}, min_grade=2)


def plain(grades: dict[str, int], doc_ids: list[str], min_grade: int) -> dict[str, float]:
    relevant = {doc_id for doc_id, grade in grades.items() if grade >= min_grade}
    places = [place for place, doc_id in enumerate(doc_ids, 1) if doc_id in relevant]
    gains = [max(0, grades.get(doc_id, 0)) for doc_id in doc_ids[:10]]
    ideal = sorted((max(0, grade) for grade in grades.values()), reverse=True)[:10]
    dcg, best = (sum(gain / math.log2(place + 1) for place, gain in enumerate(row, 1)) for row in (gains, ideal))
    return {
        "nDCG@10": dcg / best,
        "RR@10": max((1 / place for place in places if place <= 10), default=0.0),
        "R@100": sum(place <= 100 for place in places) / len(relevant),
        "AP": sum(found / place for found, place in enumerate(places, 1)) / len(relevant),
        "Judged@10": sum(doc_id in grades for doc_id in doc_ids[:10]) / min(10, len(doc_ids)),
    }


@pytest.mark.parametrize("min_grade", [1, 2])
def test_random_rankings_agree_with_a_plain_implementation(min_grade) -> None:
    rng = random.Random(0)
    documents = [f"d{number}" for number in range(300)]
    qrels = {f"q{n}": {d: rng.randint(-1, 3) for d in rng.sample(documents, 40)} for n in range(30)}
    rankings = {query_id: rng.sample(documents, rng.choice([3, 50, 200])) for query_id in qrels}
    metrics = measure(Qrels(qrels), {key: ranking(*doc_ids) for key, doc_ids in rankings.items()}, min_grade)
    for query_id, doc_ids in rankings.items():
        ours = {name: metrics.per_query[name][query_id] for name in MEASURES}
        assert ours == pytest.approx(plain(qrels[query_id], doc_ids, min_grade))
