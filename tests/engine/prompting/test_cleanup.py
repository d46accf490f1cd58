from __future__ import annotations

import pytest

from sptar_engine.prompting.cleanup import (
    EMPTY,
    EXAMPLE,
    LETTERLESS,
    REPETITIVE,
    SHORT,
    TEMPLATE,
    clean_query,
    count_words,
    split_words,
)

_EXAMPLES = ("how do I read a csv file into dictionaries", "what lifts a wing in a slow stream of air at low speed")
_ROUND_AND_ROUND = (
    "the lift of the drag of the wing in the lift of the drag of the tail in the lift of the drag of the wing by "
    "the lift of the drag of the tail"
)


@pytest.mark.parametrize(
    ("raw", "query"),
    [
        (" how do wings lift\n", "how do wings lift"),
        (" how do wings lift\nDocument: another one\n", "how do wings lift"),
        ("  how\t do   wings lift ", "how do wings lift"),
        ("how do wings lift\u2028and more", "how do wings lift"),
        ("how do\x00 wings\u200b lift\ufffd", "how do wings lift"),
        ("Relevant Query: how do wings lift", "how do wings lift"),
        ("Relevant Query: Relevant Query: how do wings lift", "how do wings lift"),
        ("1. how do wings lift", "how do wings lift"),
        ("(2) how do wings lift", "how do wings lift"),
        ("- how do wings lift", "how do wings lift"),
        ('Q1: "how do wings lift"', "how do wings lift"),
        ('"how do wings lift', "how do wings lift"),
        ("«how do wings lift»", "how do wings lift"),
        ('1. Query: "how do wings lift?"', "how do wings lift?"),
        ("how do wings lift Document: The wing of", "how do wings lift"),
        ("how do wings lift Relevant Query: how", "how do wings lift"),
    ],
)
def test_what_stands_around_the_query_goes(raw: str, query: str) -> None:
    assert clean_query(raw, _EXAMPLES, 3) == (query, "")


@pytest.mark.parametrize(
    "query",
    [
        "3.5 volt battery for a lamp",
        'what do "lift" and "drag" mean',
        "what's the pilot's seat made of",
        "query planners of databases: an overview",
        "how far is New York New York from Boston",
        "hotels on bora bora",
        "that that is right is known",
        "bind a socket to 0.0.0.0 on linux",
        "what is the capital of france and what is the capital of spain",
        "is lift free or is lift dear, is it so",
        "the lift, the drag and the thrust of a wing",
    ],
)
def test_a_sound_query_is_left_as_it_is(query: str) -> None:
    assert clean_query(query, _EXAMPLES, 3) == (query, "")


@pytest.mark.parametrize(
    ("raw", "query"),
    [
        ("what is lift what is lift", "what is lift"),
        ("what is lift? What is lift? What is lift?", "what is lift?"),
        ("what is lift what is lift what", "what is lift"),
        ("how to read a file how to read a file in python", "how to read a file in python"),
        ("a very very very very fast wing", "a very fast wing"),
        ("lift and drag and drag and drag and drag", "lift and drag"),
        ("what is lift, and what is lift", "what is lift"),
        ("what is lift or drag, what is lift and what is drag", "what is lift or drag and what is drag"),
    ],
)
def test_what_is_said_twice_is_said_once(raw: str, query: str) -> None:
    assert clean_query(raw, _EXAMPLES, 2) == (query, "")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("", EMPTY),
        ("\n", EMPTY),
        ("\nhow do wings lift", EMPTY),
        (" \t\n", EMPTY),
        ('""\n', EMPTY),
        ("1 + 1 = 2 ???", LETTERLESS),
        ("Relevant Query", TEMPLATE),
        ("Document: how do wings lift", TEMPLATE),
        ("Please generate query for this document.", TEMPLATE),
        ("how do I read a CSV file into dictionaries?", EXAMPLE),
        ("what lifts a wing in slow stream of air at low speed", EXAMPLE),
        ("wing", SHORT),
        ("what what what what what", SHORT),
        (_ROUND_AND_ROUND, REPETITIVE),
    ],
)
def test_what_is_no_query_is_dropped_with_its_reason(raw: str, reason: str) -> None:
    assert clean_query(raw, _EXAMPLES, 3)[1] == reason


def test_an_example_with_one_other_word_is_no_copy() -> None:
    assert clean_query("how do I read a json file into dictionaries", _EXAMPLES, 3)[1] == ""


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("how do wings lift", 4),
        ("don't open os.path at 0.0.0.0", 5),
        ("飞机机翼如何产生升力", 5),  # ten letters
        ("ปีกเครื่องบิน", 5),  # nine letters; their marks are not counted
        ("हवाई जहाज कैसे उड़ता है", 5),
        ("कैसे", 1),
        ("비행기 날개는 어떻게", 3),
        ("как летает самолёт", 3),
        ("Python で csv を読む", 4),  # two words, four letters
        ("", 0),
    ],
)
def test_words_are_counted_in_every_script(query: str, words: int) -> None:
    assert count_words(query) == words
    assert clean_query(query, (), 6)[1] == (SHORT if query else EMPTY)


@pytest.mark.parametrize(
    "query",
    [
        "飞机机翼如何产生升力",
        "ปีกเครื่องบินทำงานอย่างไร",
        "как летает самолёт",
        "می\u200cخواهم پرواز کنم",  # noqa: RUF001  Persian, with a non-joiner
    ],
)
def test_a_query_in_another_script_is_left_as_it_is(query: str) -> None:
    assert clean_query(f" {query}\n", _EXAMPLES, 3) == (query, "")


def test_a_loop_without_spaces_is_cut() -> None:
    assert clean_query("如何飞行如何飞行如何飞行如何", (), 2) == ("如何飞行", "")


def test_words_know_their_place() -> None:
    text = "What's  Lift?"
    assert [(word.key, text[word.start : word.end]) for word in split_words(text)] == [
        ("what's", "What's"),
        ("lift", "Lift"),
    ]
