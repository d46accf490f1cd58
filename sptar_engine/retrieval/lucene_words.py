"""The words that Lucene counts in a text: Anserini's analyzer for English (stop words, Porter's stemmer).

A call into Java costs more than analysing a short text does. So many texts are handed over at a time, joined by a word
that none of them has, and the words of all come back as one string, which is cut where that word stands.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from sptar_engine.retrieval.java import java_class, java_errors

_MARK = "zq0zq"  # one word, whatever stands around the line it is on, and nothing for the stemmer to take off
_BETWEEN = ", "  # how Java writes a list; no word has a space in it


def analyze(texts: Sequence[str]) -> list[list[str]]:
    """The words of each text in order, as an index or a query of `retrieval.lexical` has them.

    The texts hold no lone surrogates (`data.lines.clean_text`). Raises StageError when Lucene fails.
    """
    words = _words(f"\n{_MARK}\n".join(texts))
    if words.count(_MARK) != len(texts) - 1:  # a text has that very word, or there is no text at all
        return [_words(text) for text in texts]
    cut: list[list[str]] = []
    start = 0
    for _ in texts[1:]:
        end = words.index(_MARK, start)
        cut.append(words[start:end])
        start = end + 1
    return [*cut, words[start:]]


def _words(text: str) -> list[str]:
    with java_errors("reading texts"):
        listed: str = java_class("io.anserini.analysis.AnalyzerUtils").analyze(_analyzer(), text).toString()
    return listed[1:-1].split(_BETWEEN) if listed != "[]" else []


@functools.cache
def _analyzer() -> Any:
    return java_class("io.anserini.analysis.DefaultEnglishAnalyzer").newDefaultInstance()
