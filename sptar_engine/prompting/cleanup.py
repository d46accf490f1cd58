"""Makes a query of what a language model wrote, or says in one word why it is none. Pure functions on text.

Issue 2: first line, no repeated clause, no copy of the prompt, minimum length. Holds for any script: where words
are written without spaces between them, two letters count as a word.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

EMPTY = "empty"  # nothing stands on the first line
LETTERLESS = "letterless"  # digits and signs only
TEMPLATE = "template"  # words of the prompt's frame
EXAMPLE = "example"  # a copy, or nearly, of the query of an example
REPETITIVE = "repetitive"  # says the same over and over
SHORT = "short"  # fewer words than asked for
REASONS = (EMPTY, LETTERLESS, TEMPLATE, EXAMPLE, REPETITIVE, SHORT)

_NEAR_COPY = 0.9  # share of common words, of all words of both, from which a query is a copy
_SHORT_PHRASE = 2  # words; "New York New York" and "bora bora" are no loops, so such a phrase must come three times
_CLAUSE_WORDS = 3  # shorter clauses are repeated on purpose
_VARIETY_WORDS = 8  # shorter queries have too few phrases to judge
_MIN_VARIETY = 0.5  # share of different three-word phrases

_LABEL = re.compile(r"(?:(?:relevant\s+)?(?:query|question)|q)\s*\d*\s*:\s*", re.IGNORECASE)
_BULLET = re.compile(r"(?:\(?\d{1,2}[.)]|[-*•])\s+")
_FRAME = re.compile(r"\b(?:Document|Relevant Query)\s*:")  # where the model went on to another document
_FRAME_TEXTS = ("document", "relevant query", "please generate query for this document")
_QUOTES = {'"': '"', "'": "'", "`": "`", "“": "”", "«": "»", "„": "“", "「": "」", "『": "』"}
_CLAUSE_SIGNS = re.compile(r"[,;:.?!、。，；：？！]")  # noqa: RUF001  the full-width ones are meant
_CONNECTORS = ("and", "or")
_JOINERS = "'’._-"  # noqa: RUF001  between two letters or digits these belong to a word: don't, 0.0.0.0, os.path
_VISIBLE_FORMATS = "\u200c\u200d"  # the (non-)joiners that Persian and Indic words are spelt with
_UNSPACED = re.compile(
    # Thai and Lao, Tibetan, Myanmar, Khmer, kana, Han
    "[\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)


@dataclass(frozen=True, slots=True)
class Word:
    """A word as it is compared, and its place in the text."""

    key: str
    start: int
    end: int


def clean_query(raw: str, examples: Sequence[str], min_words: int) -> tuple[str, str]:
    """Return the query in `raw` and "", or what was left of it and the reason (one of REASONS) to drop it.

    `examples` are the queries that the prompt shows.
    """
    query = _drop_clauses(_drop_loops(_unwrap(_first_line(raw))))
    return query, _reason(query, examples, min_words)


def count_words(text: str) -> int:
    """Number of words; in scripts without spaces every two letters count as one."""
    words = split_words(text)
    letters = sum(bool(_UNSPACED.match(word.key)) for word in words)
    return len(words) - letters + -(-letters // 2)


def copied_share(query: str, document: str) -> float:
    """Share of the query's words that stand in the document; 0 for a query without words."""
    there = set(_keys(document))
    words = _keys(query)
    return sum(word in there for word in words) / max(1, len(words))


def split_words(text: str) -> list[Word]:
    """The words of a text, case folded; in scripts without spaces every letter is one."""
    words: list[Word] = []
    start = -1
    for place, letter in enumerate(f"{text} "):
        kind = unicodedata.category(letter)[0]
        joins = kind == "M" or (letter in _JOINERS and text[place + 1 : place + 2].isalnum())
        if start >= 0 and joins:
            continue
        if start >= 0 and (kind not in "LN" or _UNSPACED.match(letter) or _UNSPACED.match(text[start])):
            words.append(Word(text[start:place].casefold(), start, place))
            start = -1
        if start < 0 and kind in "LN":
            start = place
    return words


def _first_line(raw: str) -> str:
    line = next(iter(raw.splitlines()), "")
    # U+FFFD is a letter whose bytes were cut apart; control and other format characters are not text.
    shown = (
        letter
        for letter in line
        if letter.isspace() or letter in _VISIBLE_FORMATS or unicodedata.category(letter)[0] != "C"
    )
    return " ".join("".join(shown).replace("\ufffd", "").split())


def _unwrap(text: str) -> str:
    """Take off labels, bullets and quotes around the query, and what follows where a new document starts."""
    before = None
    while before != text:
        before = text
        for opening in (_LABEL, _BULLET):
            if found := opening.match(text):
                text = text[found.end() :]
        text = _unquote(text).strip()
    frame = _FRAME.search(text)
    return text[: frame.start()].strip() if frame and frame.start() else text


def _unquote(text: str) -> str:
    closing = _QUOTES.get(text[:1])
    if closing is None or closing in text[1:-1]:
        return text
    return text[1:].removesuffix(closing)


def _drop_loops(text: str) -> str:
    """Keep the first of equal phrases that follow each other: "what is x what is x what" gives "what is x"."""
    words = split_words(text)
    keys = [word.key for word in words]
    for start in range(len(keys)):
        for length in range(1, (len(keys) - start) // 2 + 1):
            phrase = keys[start : start + length]
            end = start + length
            while keys[end : end + length] == phrase:
                end += length
            if end - start >= length * (3 if length <= _SHORT_PHRASE else 2):
                if keys[end:] == phrase[: len(keys) - end]:  # the last copy was cut off
                    end = len(keys)
                return _drop_loops(_without(text, words[start + length : end]))
    return text


def _drop_clauses(text: str) -> str:
    """Keep the first of equal clauses: "what is x, and what is x" gives "what is x"."""
    words = split_words(text)
    seen: set[tuple[str, ...]] = set()
    start = 0
    for end in range(1, len(words) + 1):
        last = end == len(words)
        if not last and words[end].key not in _CONNECTORS and not _ends_clause(text, words[end - 1], words[end]):
            continue
        clause = words[start:end]
        key = tuple(word.key for word in clause if word.key not in _CONNECTORS)
        if len(key) >= _CLAUSE_WORDS and key in seen:
            return _drop_clauses(_without(text, clause))
        seen.add(key)
        start = end
    return text


def _ends_clause(text: str, word: Word, following: Word) -> bool:
    return _CLAUSE_SIGNS.search(text, word.end, following.start) is not None


def _without(text: str, words: Sequence[Word]) -> str:
    """The text without some words in succession, and what stands between them and the word before."""
    kept = text[: words[0].start].rstrip()
    while kept and unicodedata.category(kept[-1])[0] not in "LMN":
        kept = kept[:-1]
    return kept + text[words[-1].end :]


def _reason(query: str, examples: Sequence[str], min_words: int) -> str:
    if not query:
        return EMPTY
    if not any(letter.isalpha() for letter in query):
        return LETTERLESS
    keys = _keys(query)
    if _FRAME.match(query) or " ".join(keys) in _FRAME_TEXTS:
        return TEMPLATE
    if any(_is_copy(keys, _keys(example)) for example in examples):
        return EXAMPLE
    phrases = list(zip(keys, keys[1:], keys[2:], strict=False))
    if len(keys) >= _VARIETY_WORDS and len(set(phrases)) < _MIN_VARIETY * len(phrases):
        return REPETITIVE
    return SHORT if count_words(query) < min_words else ""


def _is_copy(keys: Sequence[str], example: Sequence[str]) -> bool:
    common = set(keys) & set(example)
    return list(keys) == list(example) or len(common) >= _NEAR_COPY * max(1, len(set(keys) | set(example)))


def _keys(text: str) -> list[str]:
    return [word.key for word in split_words(text)]
