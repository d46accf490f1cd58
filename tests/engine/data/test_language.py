from __future__ import annotations

import pytest

from sptar_engine.data.language import UNKNOWN, language_guesser


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The wing of an aircraft is tested in a wind tunnel.", "en"),
        ("Guten Tag, wie geht es Ihnen heute? Das Wetter ist schön.", "de"),
        ("le chat est assis sur la table de la cuisine", "fr"),
        ("日本語の文章です。", "ja"),
        ("12345 67", UNKNOWN),
        ("", UNKNOWN),
    ],
)
def test_languages_are_guessed_without_a_network(text: str, language: str) -> None:
    assert language_guesser()(text) == language
