"""Candidate sets are distinct, depend on their arguments alone, and are of one style where a style is asked for."""

from __future__ import annotations

import pytest

from sptar_engine.configs import SelectConfig
from sptar_engine.errors import ConfigError, InputError
from sptar_engine.prompting.example_sets import Examples, candidate_sets, style_sets
from sptar_engine.records import Document, Query, SeedPair


def _seeds(*counts: int) -> dict[str, tuple[SeedPair, ...]]:
    """One query for each count, with so many documents."""
    return {
        f"q{number}": tuple(SeedPair(Query(f"q{number}", ""), Document(f"d{number}-{at}", "")) for at in range(count))
        for number, count in enumerate(counts)
    }


def _keys(sets: list[Examples]) -> list[frozenset[str]]:
    return [frozenset(pair.document.doc_id for pair in examples) for examples in sets]


def test_all_sets_there_are_when_fewer_than_wanted() -> None:
    # of (2, 1, 1) documents, pairs from different queries: 2*1 + 2*1 + 1*1 = 5
    sets = candidate_sets(_seeds(2, 1, 1), 2, 50, 13)
    assert set(_keys(sets)) == {
        frozenset(pair)
        for pair in [("d0-0", "d1-0"), ("d0-1", "d1-0"), ("d0-0", "d2-0"), ("d0-1", "d2-0"), ("d1-0", "d2-0")]
    }
    assert len(sets) == 5


@pytest.mark.parametrize(("size", "wanted"), [(1, 12), (2, 30), (4, 100), (1, 25)])
def test_sets_are_distinct_and_have_one_pair_a_query(size: int, wanted: int) -> None:
    sets = candidate_sets(_seeds(*[3] * 10), size, wanted, 13)
    assert len(sets) == len(set(_keys(sets))) == wanted
    assert all(len({pair.query.query_id for pair in examples}) == size for examples in sets)


def test_sets_depend_on_the_seed_alone() -> None:
    seeds = _seeds(*[3] * 10)
    assert candidate_sets(seeds, 2, 5, 13) == candidate_sets(seeds, 2, 5, 13)
    assert candidate_sets(seeds, 2, 5, 13) != candidate_sets(seeds, 2, 5, 14)


def test_more_examples_than_queries_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match=r"select\.examples: 3 examples .* there are 2"):
        candidate_sets(_seeds(1, 5), 3, 1, 13)


def _styled(*styles: str) -> dict[str, tuple[SeedPair, ...]]:
    """One query for each style, said by a person; a text without one."""
    texts = [style if " " in style else "" for style in styles]
    said = ["" if " " in style else style for style in styles]
    return {
        f"q{number}": (SeedPair(Query(f"q{number}", text, style), Document(f"d{number}", "")),)
        for number, (text, style) in enumerate(zip(texts, said, strict=True))
    }


def test_any_style_is_what_it_was_before_there_were_styles() -> None:
    seeds = _styled("claim", "keywords", "question", "question", "is it so")
    config = SelectConfig(examples=2, candidates=3)
    assert style_sets(seeds, config) == {"": candidate_sets(seeds, 2, 3, config.seed)}


def test_examples_of_a_style_are_queries_of_that_style_alone() -> None:
    seeds = _styled("claim", "question", "does ice float", "keywords", "question", "claim")
    sets = style_sets(seeds, SelectConfig(style="question", examples=2, candidates=50))
    assert list(sets) == ["question"]
    assert {pair.query.query_id for examples in sets["question"] for pair in examples} == {"q1", "q2", "q4"}
    assert len(sets["question"]) == 3  # pairs of three queries


def test_style_of_fewer_queries_than_examples_shows_them_all() -> None:
    seeds = _styled("claim", "claim", "question", "question", "question", "question")
    sets = style_sets(seeds, SelectConfig(style="claim", examples=4, candidates=5))
    assert [len(examples) for examples in sets["claim"]] == [2]


def test_mixed_has_sets_for_each_style_of_two_queries_or_more() -> None:
    seeds = _styled("keywords", "question", "claim", "question", "keywords")
    sets = style_sets(seeds, SelectConfig(style="mixed", examples=1, candidates=5))
    assert {style: len(found) for style, found in sets.items()} == {"question": 2, "keywords": 2}


@pytest.mark.parametrize(
    ("styles", "words"),
    [
        (("claim", "question", "question"), "there is 1: write 1 more"),
        (("question", "question"), "there is none: write 2 more"),
    ],
)
def test_style_of_too_few_queries_says_how_many_more_are_needed(styles: tuple[str, ...], words: str) -> None:
    with pytest.raises(
        InputError, match=rf"select\.style=claim needs 2 training queries of the style claim .* {words}"
    ):
        style_sets(_styled(*styles), SelectConfig(style="claim"))


def test_mixed_without_two_queries_of_any_style_is_an_input_error() -> None:
    with pytest.raises(InputError, match="2 training queries of one style"):
        style_sets(_styled("claim", "question", "keywords"), SelectConfig(style="mixed"))
