from __future__ import annotations

import pytest

from sptar_engine.data.query_text import normalised, overlap, words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What  is\tDNS?", "what is dns"),
        ("STRASSE", "straße"),
        ("\uff57\uff49\uff44\uff45\uff1f", "wide"),
        ("how to … ?!", "how to"),
        ("日本語とは。", "日本語とは"),
    ],
)
def test_typing_makes_no_other_query(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize(("one", "other"), [("what is c", "what is c++"), ("c#", "c"), ("?", "!")])
def test_marks_that_mean_something_do(one: str, other: str) -> None:
    assert normalised(one) != normalised(other)


def test_overlap_is_jaccard_of_the_words() -> None:
    assert overlap(words("how to sort a list"), words("Sort a LIST, how?")) == 4 / 5
    assert overlap(words("??"), words("!!")) == 0.0
