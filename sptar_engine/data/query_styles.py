"""Kinds of queries: a question, keywords, or a claim that a document speaks for or against.

A person says what kind a labelled query is by `{"metadata": {"style": "claim"}}` in its row of queries.jsonl. Where
nobody said, a plain rule on English words reads it from the text; what it cannot tell is a claim.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from sptar_engine.data.lines import Line, quoted
from sptar_engine.records import Query, SeedPair

QUESTION, KEYWORDS, CLAIM = "question", "keywords", "claim"
STYLES = (QUESTION, KEYWORDS, CLAIM)

_MOST_KEYWORDS = 8  # words: a longer query without one of the verbs below is a claim
_ASKING = re.compile("(?:what|who|whom|whose|when|where|why|which|how)(?:'.+)?")  # "what's"
_BEFORE_ASKING = re.compile("about|after|at|by|for|from|in|of|on|since|to|under|until|with")  # "in which year"
_AUXILIARY = re.compile(
    "am|(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|shall|should|may|might|must)(?:n't)?|"
    "can't|won't"
)
_OTHER_OF_SENTENCES = re.compile(
    "i|i'.+|my|me|we|our|you|your|he|she|it|its|they|their|be|been|being|affects|allows|becomes|behaves|belongs|"
    "causes|changes|comes|contains|contributes|controls|correlates|decreases|depends|determines|drives|enables|"
    "exists|follows|gives|grows|helps|improves|increases|indicates|induces|influences|inhibits|involves|keeps|leads|"
    "limits|lowers|makes|means|needs|occurs|plays|predicts|prevents|produces|promotes|protects|provides|raises|"
    "reduces|regulates|remains|requires|results|seems|shows|slows|suggests|supports|takes|treats|uses|varies|works"
)
_QUESTION_MARKS = ("?", "？", "؟")  # noqa: RUF001  the full-width and the Arabic one too
_WORD = re.compile(r"\w+(?:['’]\w+)*")  # noqa: RUF001  "don't" is one word, however it is typed


def parse_style(line: Line, metadata: object) -> str:
    """The style in a row's `metadata`, empty when there is none. Raises InputError for one that we do not know."""
    style = metadata.get("style") if isinstance(metadata, dict) else None
    if style in (None, ""):
        return ""
    if style not in STYLES:
        raise line.error(f"the style {quoted(str(style))} is not one of {', '.join(STYLES)}")
    return str(style)


def style_of(query: Query) -> str:
    """What a person said, else what the text reads as."""
    return query.style or read_style(query.text)


def read_style(text: str) -> str:
    """The style that a text reads as, one of STYLES.

    A question ends with a question mark, or begins with a question word ("how", "in which") or an auxiliary ("is",
    "does"). Keywords are up to eight words with no auxiliary, pronoun or common verb of statements among them. The
    rest are claims.
    """
    words = [word.replace("’", "'") for word in _WORD.findall(text.casefold())]  # noqa: RUF001
    if text.rstrip().endswith(_QUESTION_MARKS) or _asks(words):
        return QUESTION
    is_sentence = any(_AUXILIARY.fullmatch(word) or _OTHER_OF_SENTENCES.fullmatch(word) for word in words)
    return CLAIM if is_sentence or len(words) > _MOST_KEYWORDS else KEYWORDS


def by_style(seeds: Mapping[str, tuple[SeedPair, ...]]) -> dict[str, dict[str, tuple[SeedPair, ...]]]:
    """The labelled pairs of each style, by query id, in the order of STYLES and of the seeds."""
    found: dict[str, dict[str, tuple[SeedPair, ...]]] = {style: {} for style in STYLES}
    for query_id, pairs in seeds.items():
        found[style_of(pairs[0].query)][query_id] = pairs
    return found


def _asks(words: Sequence[str]) -> bool:
    first, second, *_ = (*words, "", "")
    if _BEFORE_ASKING.fullmatch(first):
        return bool(_ASKING.fullmatch(second))
    return bool(_ASKING.fullmatch(first) or _AUXILIARY.fullmatch(first))
