"""Near-copies by word overlap."""

import random

import pytest

from sptar_engine.data.copies import NearCopies
from sptar_engine.data.query_text import overlap, words

_SEED = "what is the basic mechanism of the transonic aileron buzz"  # 9 different words


@pytest.mark.parametrize(
    ("text", "is_copy"),
    [
        ("What is the basic mechanism of the transonic aileron buzz?", True),
        ("transonic aileron buzz: the basic mechanism of what is", True),  # the same words
        ("what is the basic mechanism of the transonic aileron buzz effect", True),  # 9 of 10
        ("what is the basic mechanism of transonic aileron", False),  # 8 of 9
        ("what is the basic mechanism of the supersonic aileron buzz", False),  # 8 of 10
        ("the", False),
        ("", False),
        ("?!", False),
    ],
)
def test_copy_shares_nine_tenths_of_the_words(text, is_copy) -> None:
    assert (text in NearCopies([_SEED, "another query"], 0.9)) is is_copy


def test_nothing_is_a_copy_of_no_queries_or_empty_ones() -> None:
    assert _SEED not in NearCopies([], 0.1)
    assert "" not in NearCopies(["", "?!"], 0.1)


@pytest.mark.parametrize("similarity", [0.1, 0.5, 0.7, 0.9, 1.0])
def test_prefix_filter_finds_what_comparing_all_finds(similarity) -> None:
    rng = random.Random(3)
    vocabulary = [f"w{number}" for number in range(14)]
    known, texts = ([" ".join(rng.choices(vocabulary, k=rng.randint(1, 12))) for _ in range(150)] for _ in range(2))
    copies = NearCopies(known, similarity)
    for text in texts:
        assert (text in copies) is any(overlap(words(text), words(other)) >= similarity for other in known)
