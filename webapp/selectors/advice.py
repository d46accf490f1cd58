"""Advice on a question while it is written, in sentences; and pairs of questions that resemble each other."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from sptar_engine.data.query_text import overlap, words
from webapp.models import Project, Query

SIMILAR = 0.8
"""Word overlap from which two questions are called similar: the engine's (PrepareConfig.similarity)."""
LONGEST = 25
"""Words; PAGES, warnings about seeds."""
COPIED = 0.6
"""Share of a title's words from which a question copies it."""
LOOKED_AT = 2000
"""Newest questions that a new one is compared with."""

_SHORTEST = 3  # words
_TITLE = 3  # words: a question about "Gliders" has to say so
# Languages written without spaces have no words that a pattern could count: two characters are about one.
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


def advise(project: Project, text: str, *, titles: Iterable[str] = (), query: int = 0) -> list[str]:
    """What could be better about a question, in sentences; nothing when it is fine. `query` is its own row, if any."""
    text = text.strip()
    if not text:
        return []
    found = []
    size = count_words(text)
    if size < _SHORTEST:
        found.append("That is short: one or two words fit many documents. What exactly does the person want to know?")
    if size > LONGEST:
        found.append(f"That is long: {size} words. People type fewer than {LONGEST}; can it be said shorter?")
    if title := next((title for title in titles if copies(text, title)), None):
        found.append(
            f"It repeats most words of the title “{title[:80]}”. Word search finds that without training; say it as "
            "somebody would who has not seen the document."
        )
    if twin := similar_to(project, text, query):
        found.append(f"It is nearly the same as the example “{twin[:80]}”. Something different teaches more.")
    return found


def count_words(text: str) -> int:
    """How many words a question has, in any script."""
    unspaced = len(_UNSPACED.findall(text))
    return len(re.findall(r"\w+", _UNSPACED.sub(" ", text))) + math.ceil(unspaced / 2)


def copies(text: str, title: str) -> bool:
    """Whether a question has more than 60 % of a title's words."""
    of_title = words(title)
    return len(of_title) >= _TITLE and len(of_title & words(text)) > COPIED * len(of_title)


def similar_to(project: Project, text: str, query: int = 0) -> str | None:
    """The text of an example that resembles this one most, if any does. The newest 2,000 are looked at."""
    bag = words(text)
    rows = Query.objects.filter(project=project).exclude(pk=query).order_by("-pk").values_list("text", flat=True)
    alike = ((overlap(bag, words(other)), other) for other in rows[:LOOKED_AT])
    best = max(alike, default=(0.0, ""))
    return best[1] if best[0] >= SIMILAR else None


def similar_pairs(texts: Mapping[int, str]) -> Iterator[tuple[int, int]]:
    """Pairs of questions, by key, whose words overlap by SIMILAR or more: prefix filtering as in the engine's leaks."""
    bags = {key: words(text) for key, text in texts.items()}
    frequency = Counter(word for bag in bags.values() for word in bag)
    index: dict[str, list[int]] = {}
    for key, bag in bags.items():
        rare_first = sorted(bag, key=lambda word: (frequency[word], word))
        # The tiny amount keeps 0.8 * 5 = 4.000000000000001 from being 5, which would lose a pair.
        prefix = rare_first[: len(bag) - math.ceil(SIMILAR * len(bag) - 1e-9) + 1]
        candidates = {other: None for word in prefix for other in index.get(word, ())}
        yield from ((other, key) for other in candidates if overlap(bags[other], bag) >= SIMILAR)
        for word in prefix:
            index.setdefault(word, []).append(key)
