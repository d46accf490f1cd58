"""Names for topics: the few words that are typical of a topic's documents, against those of all topics."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

_WORDS = 3  # of a label
_WORD = re.compile(r"[^\W\d_]{3,24}")
_CHARACTERS = 4000  # of a document that are read
_RARE = 2  # documents of a topic that a word must stand in, where there are that many

_STOP_WORDS = """
    about above after again against all also although always among and another any anything are around because been
    before being below between both but can cannot come could did does doing done down during each either else enough
    etc even ever every few find first following for found from further get give given goes had has have having her here
    hers him himself his how however into its itself just keep know known large
    last least less let like made main
    make makes many may might more most much must near need neither never new next non nor not nothing now obtained off
    often once one only onto other others our out over own part per perhaps possible present put quite rather real
    really said same say see seem seen several shall she should show shown shows similar since small some something
    still such take taken than that the their theirs them themselves then there therefore these they thing this those
    though three through thus too two under until upon use used useful uses using very via was way well were what when
    where whether which while who whole whom whose why will with within without would yet you your yours
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
"""English words that say nothing about a topic. Those of other languages stand nearly everywhere and weigh little."""


def label_topics(texts: Mapping[int, Sequence[str]]) -> dict[int, str]:
    """Label each topic, given texts of some of its documents, by the three words of highest tf-idf.

    tf is the share of the topic's texts that hold the word, idf the logarithm of all texts over those with the word. A
    word and a longer form of it count as one. A topic without words is called by its number, from 1.
    """
    counts = {topic: Counter(word for text in group for word in _words(text)) for topic, group in texts.items()}
    total = sum(len(group) for group in texts.values())
    everywhere = sum(counts.values(), Counter())
    return {
        topic: _label(counts[topic], everywhere, len(group), total) or f"Topic {topic + 1}"
        for topic, group in texts.items()
    }


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text[:_CHARACTERS].lower())) - STOP_WORDS


def _label(counts: Counter[str], everywhere: Counter[str], texts: int, total: int) -> str:
    least = min(_RARE, texts)
    worth = {
        word: (count / texts) * math.log((1 + total) / everywhere[word])
        for word, count in counts.items()
        if count >= least
    }
    chosen: list[str] = []
    for word in sorted(worth, key=lambda word: (-worth[word], word)):
        if len(chosen) < _WORDS and not any(_same_stem(word, other) for other in chosen):
            chosen.append(word)
    return ", ".join(chosen)


def _same_stem(word: str, other: str) -> bool:
    """Whether one begins with the other, or both with the same long piece: wing and wings, theory and theories."""
    shared = min(len(word), len(other))
    return word[: max(3, shared - 1)] == other[: max(3, shared - 1)] and abs(len(word) - len(other)) <= 3
