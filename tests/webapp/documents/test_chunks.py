"""Cutting long documents."""

from __future__ import annotations

from webapp.reading import chunks


def words(count: int, word: str = "word") -> str:
    return " ".join([word] * count)


def test_a_short_text_stays_whole() -> None:
    assert chunks.cut(words(200)) == [words(200)]


def test_paragraphs_fill_pieces_of_up_to_200_words() -> None:
    text = "\n\n".join([words(90, "a"), words(90, "b"), words(90, "c")])

    assert chunks.cut(text) == [f"{words(90, 'a')}\n\n{words(90, 'b')}", words(90, "c")]


def test_a_short_rest_goes_to_the_piece_before_it() -> None:
    text = "\n\n".join([words(200, "a"), words(39, "b")])

    assert chunks.cut(text) == [text]


def test_a_long_paragraph_is_cut_at_sentences() -> None:
    sentence = words(80) + "."

    assert chunks.cut(" ".join([sentence] * 4)) == [f"{sentence} {sentence}"] * 2


def test_a_sentence_without_an_end_is_cut_at_words() -> None:
    assert [len(piece.split()) for piece in chunks.cut(words(500))] == [200, 200, 100]


def test_scripts_without_blanks_count_by_characters() -> None:
    assert [len(piece) for piece in chunks.cut("図" * 450)] == [200, 200, 50]


def test_no_word_is_lost() -> None:
    text = "\n\n".join(" ".join(f"w{number}x{at}." for at in range(number)) for number in range(40))

    assert " ".join(chunks.cut(text)).split() == text.split()


def test_ids_of_pieces_cannot_be_those_of_documents() -> None:
    marks = max(map(chunks.number_marks, ["a", "a#1", "b##22", "c#d"]))

    assert marks == 2
    assert chunks.separator_after(0) == "#"
    assert chunks.piece_id("a", chunks.separator_after(marks), 1) == "a###1"


def test_ids_of_pieces_are_never_too_long_and_stay_apart() -> None:
    one, other = (chunks.piece_id("x" * 511 + end, "#", 12) for end in "ab")

    assert one != other
    assert max(len(one), len(other)) <= 512
