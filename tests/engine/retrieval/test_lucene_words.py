"""The words of many texts at once are those of each text alone, as the index has them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sptar_engine.retrieval import lucene_words
from sptar_engine.retrieval.lucene_words import analyze


def test_words_are_stemmed_and_stop_words_are_left_out() -> None:
    assert analyze(["The wings of a plane's tail", "Flying, flew & flown"]) == [
        ["wing", "plane", "tail"], ["fly", "flew", "flown"],
    ]  # fmt: skip


def test_texts_without_words_have_none() -> None:
    assert analyze([]) == []
    assert analyze([""]) == [[]]
    assert analyze(["", "the", "wing", "?!", ""]) == [[], [], ["wing"], [], []]


@pytest.mark.parametrize(
    "text",
    [
        "[1,234, 5]",
        "a\nb\r\nc",
        "x\x00y",
        "日本語",
        "\U0001f600 \U00010428",
        "e\u0301te\u0301",
        "\ufeffwing",
        "x" * 600,
    ],
)
def test_neighbours_do_not_change_a_text(text: str) -> None:
    (alone,) = analyze([text])
    assert analyze([text, "wing", text, text]) == [alone, ["wing"], alone, alone]


def test_text_with_the_word_that_parts_texts_is_read_like_any_other() -> None:
    mark = lucene_words._MARK
    assert analyze([f"wing {mark} tail", "heat", mark.upper()]) == [["wing", mark, "tail"], ["heat"], [mark]]


def test_one_call_into_java_is_enough_for_many_texts(monkeypatch) -> None:
    calls: list[str] = []
    words = lucene_words._words
    monkeypatch.setattr(lucene_words, "_words", lambda text: calls.append(text) or words(text))
    assert analyze([f"wing {number}" for number in range(100)]) == [["wing", str(number)] for number in range(100)]
    assert len(calls) == 1


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=2, max_size=4))
def test_any_texts_are_kept_apart(texts: list[str]) -> None:
    assert analyze(texts) == [analyze([text])[0] for text in texts]
