from __future__ import annotations

import random
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

import pytest

from sptar_engine.data.judgements import Judgement
from sptar_engine.data.leaks import check_leaks
from sptar_engine.data.query_text import overlap, words
from sptar_engine.errors import LeakError
from sptar_engine.records import Query


def _split(name: str, *pairs: tuple[str, str]) -> tuple[Judgement, ...]:
    return tuple(Judgement(Path(f"{name}.tsv"), line, query, doc, 1) for line, (query, doc) in enumerate(pairs, 2))


def _queries(**texts: str) -> Mapping[str, Query]:
    return {query_id: Query(query_id, text) for query_id, text in texts.items()}


def test_the_same_pair_in_two_splits_is_an_error_that_names_it() -> None:
    splits = {"train": _split("train", ("a", "d1"), ("b", "d2")), "dev": (), "test": _split("test", ("b", "d2"))}
    with pytest.raises(
        LeakError, match=r"'b' and document 'd2' .* train \(train.tsv, line 3\) .* test \(test.tsv, line 2\)"
    ):
        check_leaks(_queries(a="one", b="two"), splits, 0.8)


def test_the_same_query_in_two_splits_is_an_error_that_names_both() -> None:
    splits = {"train": _split("train", ("a", "d1"), ("a", "d2")), "dev": _split("dev", ("a", "d3")), "test": ()}
    with pytest.raises(LeakError, match=r"the query 'a' .* train \(train.tsv, line 2\) .* dev \(dev.tsv, line 2\)"):
        check_leaks(_queries(a="one"), splits, 0.8)


def test_the_same_text_in_two_splits_is_an_error_that_names_both() -> None:
    splits = {"train": _split("train", ("a", "d1")), "dev": (), "test": _split("test", ("b", "d1"))}
    with pytest.raises(LeakError, match=r"'a' in train and 'b' in test have the same text 'What  is DNS'"):
        check_leaks(_queries(a="what is dns?", b="What  is DNS"), splits, 0.8)


def test_the_same_text_twice_in_one_split_or_unjudged_is_no_leak() -> None:
    splits = {"train": _split("train", ("a", "d1"), ("b", "d2")), "dev": (), "test": _split("test", ("c", "d1"))}
    report = check_leaks(_queries(a="one two", b="one two", c="three", unjudged="Three"), splits, 0.1)
    assert report.similar_queries == 0


def test_similar_queries_across_splits_are_counted_and_the_closest_listed() -> None:
    splits = {
        "train": _split("train", ("a", "d")),
        "dev": _split("dev", ("b", "d")),
        "test": _split("test", ("c", "d")),
    }
    queries = _queries(a="how to sort a list", b="how to sort a list quickly", c="how to sort a dict")
    report = check_leaks(queries, splits, 0.5)
    assert report.similar_queries == 3
    assert [(pair.query_id, pair.other_query_id, pair.overlap) for pair in report.examples] == [
        ("a", "b", 0.8333),
        ("a", "c", 0.6667),
        ("b", "c", 0.5714),
    ]
    assert check_leaks(queries, splits, 0.8).similar_queries == 1
    assert report.as_dict()["examples"][0]["other_query"] == "how to sort a list quickly"


@pytest.mark.parametrize("similarity", [0.1, 0.3, 0.5, 0.7, 0.8, 1.0])
def test_the_index_finds_what_comparing_all_pairs_finds(similarity: float) -> None:
    rng = random.Random(5)
    texts = {
        f"q{n}": " ".join(rng.choices("abcdefghijkl", k=rng.randint(1, 10))) + f" {n}" * (n % 2) for n in range(90)
    }
    queries = {query_id: Query(query_id, text) for query_id, text in texts.items()}
    names = ("train", "dev", "test")
    seen: dict[frozenset[str], str] = {}  # the same text must not be in two splits
    split_of = {key: seen.setdefault(frozenset(text), names[n % 3]) for n, (key, text) in enumerate(texts.items())}
    splits = {name: _split(name, *((key, "d") for key, split in split_of.items() if split == name)) for name in names}
    expected = sum(
        split_of[one] != split_of[other] and overlap(words(texts[one]), words(texts[other])) >= similarity
        for one, other in combinations(texts, 2)
    )
    assert check_leaks(queries, splits, similarity).similar_queries == expected


def test_ten_thousand_queries_take_moments() -> None:
    rng = random.Random(1)
    vocabulary = [f"word{n}" for n in range(3000)]
    queries = {f"q{n}": Query(f"q{n}", "what is the " + " ".join(rng.choices(vocabulary, k=5))) for n in range(10_000)}
    splits = {
        "train": _split("train", *((f"q{n}", "d") for n in range(5000))),
        "test": _split("test", *((f"q{n}", "d") for n in range(5000, 10_000))),
    }
    assert check_leaks(queries, splits, 0.8).similar_queries == 0
