from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sptar_engine.data.judgements import Judgement
from sptar_engine.data.labels import UNSPLIT, Labels
from sptar_engine.data.splits import answered_queries, assign_splits, limit_train, split_labels, split_sizes
from sptar_engine.errors import InputError
from sptar_engine.records import Query

PATH = Path("qrels.tsv")


def _queries(count: int) -> list[Query]:
    return [Query(f"q{number}", f"question {number}") for number in range(count)]


def _rows(count: int, grade: int = 1, start: int = 0) -> tuple[Judgement, ...]:
    return tuple(Judgement(PATH, number + 2, f"q{number}", "d", grade) for number in range(start, start + count))


def _labels(**judgements: tuple[Judgement, ...]) -> Labels:
    return Labels({query.query_id: query for query in _queries(300)}, judgements)


@pytest.mark.parametrize(
    ("queries", "train", "dev", "test"),
    [
        (18, 8, 4, 6),
        (19, 8, 4, 7),
        (34, 14, 7, 13),
        (49, 19, 9, 21),
        (50, 20, 10, 20),
        (51, 20, 10, 21),
        (105, 35, 25, 45),
        (159, 49, 39, 71),
        (160, 50, 40, 70),
        (1000, 50, 40, 910),
    ],
)
def test_sizes_follow_the_rule(queries: int, train: int, dev: int, test: int) -> None:
    assert split_sizes(queries) == {"train": train, "dev": dev, "test": test}


@pytest.mark.parametrize("queries", [0, 1, 17])
def test_too_few_queries_are_refused_with_the_number_needed(queries: int) -> None:
    with pytest.raises(
        InputError, match=rf"^{queries} labelled queries .* at least 18 .*8 train, 4 held-out and 6 test"
    ):
        split_sizes(queries)


@given(st.integers(18, 400))
def test_train_and_held_out_never_shrink_and_all_queries_are_used(queries: int) -> None:
    now, more = split_sizes(queries), split_sizes(queries + 1)
    assert sum(now.values()) == queries
    assert 0 <= more["train"] - now["train"] <= 1
    assert 0 <= more["dev"] - now["dev"] <= 1
    assert now["train"] >= 8
    assert now["dev"] >= 4
    assert now["test"] >= 6


@given(st.integers(18, 200), st.integers(0, 1000))
def test_one_more_query_moves_at_most_two_and_none_between_train_and_held_out(count: int, seed: int) -> None:
    before, after = assign_splits(_queries(count), seed), assign_splits(_queries(count + 1), seed)
    assert Counter(before.values()) == split_sizes(count)
    moved = [(split, after[query_id]) for query_id, split in before.items() if after[query_id] != split]
    assert len(moved) <= 2
    assert all("test" in move for move in moved)


def test_the_order_of_the_queries_does_not_matter_and_the_seed_does() -> None:
    queries = _queries(60)
    assert assign_splits(queries, 13) == assign_splits(queries[::-1], 13)
    assert assign_splits(queries, 13) != assign_splits(queries, 14)


def test_queries_with_the_same_text_stay_together() -> None:
    twins = [Query(f"twin{number}", f"Question  {number}?") for number in range(40)]
    splits = assign_splits(_queries(40) + twins, 13)
    assert all(splits[f"q{number}"] == splits[f"twin{number}"] for number in range(40))
    assert Counter(splits[f"q{number}"] for number in range(40)) == split_sizes(40)


def test_labels_without_splits_are_split_among_answered_queries() -> None:
    splits = split_labels(_labels(**{UNSPLIT: _rows(50) + _rows(5, grade=0, start=50)}), seed=13, min_grade=1)
    assert {split: len(rows) for split, rows in splits.items()} == {"train": 20, "dev": 10, "test": 20}
    assert list(splits) == ["train", "dev", "test"]
    assert answered_queries([row for rows in splits.values() for row in rows], 1) == {f"q{n}" for n in range(50)}


def test_the_splits_of_the_dataset_are_kept_as_they_are() -> None:
    given_splits = {"test": _rows(1, start=20), "train": _rows(8), "dev": _rows(1, start=10) + _rows(1, 0, start=11)}
    splits = split_labels(_labels(**given_splits), seed=13, min_grade=1)
    assert splits == given_splits
    assert list(splits) == ["train", "dev", "test"]


@pytest.mark.parametrize(
    ("train", "dev", "test", "reason"),
    [
        (7, 1, 1, r"the train split .* has 7 queries with a relevant document .*; at least 8 are needed"),
        (0, 1, 1, r"the train split .* has 0 queries .*; at least 8 are needed"),
        (8, 0, 1, r"the dev split \(qrels/dev\.tsv.* has no queries .*held-out queries are needed"),
        (8, 1, 0, r"the test split .* has no queries .*the evaluation needs them"),
    ],
)
def test_splits_that_are_too_small_are_refused(train: int, dev: int, test: int, reason: str) -> None:
    labels = _labels(train=_rows(train), dev=_rows(dev, start=20), test=_rows(test, start=40))
    with pytest.raises(InputError, match=reason):
        split_labels(labels, seed=13, min_grade=1)


def test_a_missing_split_file_counts_as_an_empty_split() -> None:
    with pytest.raises(InputError, match="the dev split"):
        split_labels(_labels(train=_rows(8), test=_rows(1, start=40)), seed=13, min_grade=1)


def test_judgements_below_the_grade_do_not_count_as_seeds() -> None:
    labels = _labels(train=_rows(8), dev=_rows(1, 2, start=20), test=_rows(1, 2, start=40))
    with pytest.raises(InputError, match=r"has 0 queries with a relevant document \(grade 2 or more\)"):
        split_labels(labels, seed=13, min_grade=2)


def test_fewer_training_queries_are_part_of_more() -> None:
    splits = {"train": _rows(40), "dev": _rows(1, start=50), "test": _rows(1, start=60)}
    chosen = [
        answered_queries(limit_train(splits, limit, seed=13, min_grade=1)["train"], 1) for limit in (10, 20, 30, 100, 0)
    ]
    assert [len(ids) for ids in chosen] == [10, 20, 30, 40, 40]
    assert chosen[0] < chosen[1] < chosen[2] < chosen[3] == chosen[4]


def test_a_limit_below_the_minimum_is_refused() -> None:
    splits = {"train": _rows(40), "dev": _rows(1, start=50), "test": _rows(1, start=60)}
    with pytest.raises(InputError, match=r"has 5 queries .* at least 8 are needed"):
        limit_train(splits, 5, seed=13, min_grade=1)
