"""Words of a question within a document."""

from __future__ import annotations

import pytest

from webapp.marks import around, mark


def shown(text: str, question: str) -> str:
    return "".join(f"[{part.text}]" if part.hit else part.text for part in mark(text, question))


@pytest.mark.parametrize(
    ("text", "question", "marked"),
    [
        ("A loan may be renewed.", "how do I renew loans", "A [loan] may be [renewed]."),
        ("The rooms", "the room", "The [rooms]"),
        ("A library opens", "opening libraries", "A [library] [opens]"),
        ("Cats and dogs", "cat", "[Cats] and dogs"),
        ("what is it", "what is it", "[what] [is] [it]"),
        ("nothing here", "", "nothing here"),
        ("", "anything", ""),
        ("<b>loan</b>", "loan", "<b>[loan]</b>"),
        ("Bücher leihen", "bücher", "[Bücher] leihen"),
    ],
)
def test_words_are_marked_by_their_stems(text: str, question: str, marked: str) -> None:
    assert shown(text, question) == marked


def test_no_text_is_lost() -> None:
    text = "  odd \n spacing, loans; (loan)  "
    assert "".join(part.text for part in mark(text, "loan")) == text


def test_a_piece_lies_around_the_words_and_ends_with_a_word() -> None:
    text = "filler " * 100 + "a renewed loan " + "filler " * 100
    piece = around(text, "renew a loan", 120)
    assert "renewed loan" in piece
    assert piece.startswith("… ")
    assert piece.endswith("filler …")
    assert len(piece) <= 124
    assert around("short text", "loan", 120) == "short text"
