import itertools
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sptar_engine.training.batches import BatchPlan, draw_answers, draw_batches, draw_together
from sptar_engine.training.pairs import TrainingPair


def make_pairs(keys: list[tuple[str, int]]) -> list[TrainingPair]:
    return [
        TrainingPair(f"p{number}", "weak", query, str(document), query, document)
        for number, (query, document) in enumerate(keys)
    ]


def own_positives(pairs: list[TrainingPair]) -> dict[str, set[int]]:
    positives: dict[str, set[int]] = {}
    for pair in pairs:
        positives.setdefault(pair.query_key, set()).add(pair.document_key)
    return positives


def conflict(one: TrainingPair, other: TrainingPair, positives: dict[str, set[int]]) -> bool:
    return other.document_key in positives[one.query_key] or one.document_key in positives[other.query_key]


keys = st.tuples(st.sampled_from("abcdefgh"), st.integers(1, 9))


@given(
    keys=st.lists(keys, unique=True, min_size=1, max_size=40),
    more=st.lists(keys, max_size=20),
    size=st.integers(1, 12),
    seed=st.integers(0, 5),
)
def test_batches_hold_every_pair_once_and_no_answer_as_a_negative(keys, more, size, seed) -> None:
    pairs = make_pairs(keys)
    positives = own_positives(pairs)
    for query, document in more:  # judged relevant, though no pair of the training
        positives.setdefault(query, set()).add(document)
    batches = draw_batches(pairs, positives, size, random.Random(seed))
    assert sorted(pair.pair_id for batch in batches for pair in batch) == sorted(pair.pair_id for pair in pairs)
    for batch in batches:
        assert 1 <= len(batch) <= size
        assert not any(conflict(one, other, positives) for one, other in itertools.combinations(batch, 2))


def test_seed_query_never_meets_its_other_answer() -> None:
    pairs = make_pairs([("seed", 1), ("seed", 2), ("weak", 2), ("weak two", 3), ("weak three", 4)])
    positives = own_positives(pairs) | {"seed": {1, 2, 3}}  # 3 is judged too, but no pair of its own
    for seed in range(20):
        for batch in draw_batches(pairs, positives, 8, random.Random(seed)):
            queries = {pair.query_key for pair in batch}
            assert "seed" not in queries or queries <= {"seed", "weak three"}


def test_eight_pairs_without_conflict_make_one_batch() -> None:
    pairs = make_pairs([(f"q{number}", number) for number in range(8)])
    assert [len(batch) for batch in draw_batches(pairs, own_positives(pairs), 32, random.Random(0))] == [8]


def test_last_batch_is_not_left_with_one_pair() -> None:
    pairs = make_pairs([(f"q{number}", number) for number in range(33)])
    batches = draw_batches(pairs, own_positives(pairs), 32, random.Random(0))
    assert sorted(len(batch) for batch in batches) == [16, 17]


def test_answers_of_one_query_are_spread_over_as_many_batches() -> None:
    pairs = make_pairs([("seed", number) for number in range(6)] + [(f"q{n}", 10 + n) for n in range(18)])
    batches = draw_batches(pairs, own_positives(pairs), 32, random.Random(0))
    assert [len(batch) for batch in batches] == [4] * 6
    assert all(sum(pair.query_key == "seed" for pair in batch) == 1 for batch in batches)


def test_pairs_that_all_exclude_each_other_are_dealt_one_by_one() -> None:
    pairs = make_pairs([("seed", number) for number in range(5)])
    batches = draw_batches(pairs, own_positives(pairs), 4, random.Random(0))
    assert [len(batch) for batch in batches] == [1] * 5


def test_plan_is_the_same_each_time_and_new_each_epoch() -> None:
    pairs = make_pairs([(f"q{number}", number) for number in range(50)])
    plan = BatchPlan(pairs, own_positives(pairs), 8, epochs=2, seed=13)
    again = BatchPlan(pairs, own_positives(pairs), 8, epochs=2, seed=13)
    assert list(plan) == list(again) == plan.epoch(0) + plan.epoch(1)
    assert plan.epoch(0) != plan.epoch(1)
    assert plan.epoch(0) != BatchPlan(pairs, own_positives(pairs), 8, epochs=2, seed=14).epoch(0)
    assert plan.steps == len(list(plan)) == 14


@pytest.mark.parametrize("crowded", [False, True])
def test_many_pairs_take_seconds(crowded) -> None:
    count = 50_000
    pairs = make_pairs([(f"q{number}", number % (50 if crowded else count)) for number in range(count)])
    start = time.process_time()
    batches = draw_batches(pairs, own_positives(pairs), 32, random.Random(0))
    assert time.process_time() - start < 10
    assert len(batches) >= count / 32


def test_answers_of_one_query_are_dealt_together_when_they_share_its_loss() -> None:
    pairs = make_pairs([("seed", number) for number in range(6)] + [(f"q{n}", 10 + n) for n in range(18)])
    plan = BatchPlan(pairs, own_positives(pairs), 8, epochs=2, seed=13, together=True)
    for epoch in (0, 1):
        batches = plan.epoch(epoch)
        assert sorted(pair.pair_id for batch in batches for pair in batch) == sorted(pair.pair_id for pair in pairs)
        assert [len(batch) for batch in batches] == [8, 8, 8]
        assert sorted(sum(pair.query_key == "seed" for pair in batch) for batch in batches) == [0, 0, 6]
    assert plan.epoch(0) == plan.epoch(0) != plan.epoch(1)


def test_more_answers_than_a_batch_holds_fill_several() -> None:
    pairs = make_pairs([("seed", number) for number in range(11)] + [("other", 20), ("other", 21)])
    batches = draw_together(pairs, 4, random.Random(0))
    assert all(1 <= len(batch) <= 4 for batch in batches)
    assert sorted(pair.pair_id for batch in batches for pair in batch) == sorted(pair.pair_id for pair in pairs)
    assert sum(any(pair.query_key == "other" for pair in batch) for batch in batches) == 1


def test_query_with_many_answers_has_some_of_them_in_an_epoch_and_others_in_the_next() -> None:
    pairs = make_pairs([("a", number) for number in range(30)] + [("b", 30), ("c", 31)])
    drawn = draw_answers(pairs, 2, random.Random(1))
    assert [pair.query_key for pair in drawn] == ["a", "a", "b", "c"]
    plan = BatchPlan(pairs, own_positives(pairs), 4, 6, 1, answers=2)
    epochs = [[pair for batch in plan.epoch(number) for pair in batch] for number in range(6)]
    assert [len(epoch) for epoch in epochs] == [plan.pairs_an_epoch] * 6 == [4] * 6
    assert len({pair.document_key for epoch in epochs for pair in epoch}) > 8
