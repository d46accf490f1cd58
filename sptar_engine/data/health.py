"""What is in a dataset, and what is odd about it: counts, lengths, duplicates, empty documents, language."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from sptar_engine.catalog import encoder_folder
from sptar_engine.configs import PrepareConfig
from sptar_engine.data.beir import CORPUS_FILE, Tally, iter_documents
from sptar_engine.data.fingerprints import FingerprintTable, fingerprint
from sptar_engine.data.labels import Labels, check_documents, has_labels, read_labels
from sptar_engine.data.language import language_guesser
from sptar_engine.data.lines import count_lines
from sptar_engine.errors import InputError
from sptar_engine.records import Document

CountTokens = Callable[[str], int]
"""How many tokens a retriever makes of a text, its special tokens included."""

TOKEN_SAMPLE = 20_000
"""At most so many documents are cut into tokens: the share is then known to 0.7 points (95 %, worst case)."""

_ENCODER = "all-minilm-l6-v2"  # of the catalogue: the default retriever, always on this machine
_LANGUAGE_SAMPLE = 500
_SHOWN = 5  # ids and languages that a report lists
_BOUNDS = (10, 20, 40, 80, 160, 320, 640, 1280, 2560)  # words: each bar is twice as wide as the one before


@dataclass(frozen=True, slots=True)
class Bar:
    """The documents of at least `low` and fewer than `high` words; `high` is None in the last bar."""

    low: int
    high: int | None
    documents: int


@dataclass(frozen=True, slots=True)
class Lengths:
    """Words per document, split at white space."""

    mean: float
    median: int
    percentile_95: int
    longest: int
    histogram: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """Queries, and judged pairs by split (`unsplit` where the app makes the splits)."""

    queries: int
    queries_without_judgement: int
    judged_queries: dict[str, int]
    judged_pairs: dict[str, int]


@dataclass(frozen=True, slots=True)
class HealthReport:
    """The state of a dataset. Empty documents are left out of every number but their own.

    A duplicate repeats an earlier document's title and text but for case and white space. `long_share` is the share
    of documents over `window_tokens`, and `language` the most frequent guess with its share; both from even samples.
    """

    documents: int
    empty_documents: int
    empty_ids: tuple[str, ...]
    duplicate_documents: int
    duplicate_ids: tuple[str, ...]
    replaced_characters: int
    words: Lengths
    window_tokens: int
    long_share: float
    long_sample: int
    language: str
    language_share: float
    languages: dict[str, float]
    labels: LabelCounts | None

    def as_dict(self) -> dict[str, Any]:
        """The report, ready for JSON."""
        return asdict(self)


class HealthCheck:
    """Looks at documents as they stream by, in bounded memory: 24 to 48 bytes each and two samples.

    `expected` is how many documents will come at most. Every n-th is in a sample, so that it is even and not too big.
    """

    def __init__(self, count_tokens: CountTokens, window_tokens: int, expected: int) -> None:
        self._count_tokens = count_tokens
        self._window_tokens = window_tokens
        self._guess_language = language_guesser()
        self._words: Counter[int] = Counter()
        self._texts = FingerprintTable()
        self._documents = 0
        self._duplicate_ids: list[str] = []
        self._token_step = math.ceil(expected / TOKEN_SAMPLE)
        self._language_step = math.ceil(expected / _LANGUAGE_SAMPLE)
        self._is_long: list[bool] = []
        self._languages: Counter[str] = Counter()

    def watch(self, documents: Iterable[Document]) -> Iterator[Document]:
        """Yield the documents unchanged, each looked at on its way."""
        for document in documents:
            self.add(document)
            yield document

    def add(self, document: Document) -> None:
        """Look at one document that is not empty."""
        content = document.content
        split = content.split()
        if self._documents % self._token_step == 0:
            self._is_long.append(self._count_tokens(content) > self._window_tokens)
        if self._documents % self._language_step == 0:
            self._languages[self._guess_language(content)] += 1
        self._words[len(split)] += 1
        self._documents += 1
        key = fingerprint(" ".join(split).casefold())
        if self._texts.setdefault(key, self._documents) != self._documents and len(self._duplicate_ids) < _SHOWN:
            self._duplicate_ids.append(document.doc_id)

    def report(self, tally: Tally, labels: Labels | None) -> HealthReport:
        """The report on the documents so far, of which there must be one; `tally` is what reading them counted."""
        guesses, sampled = self._languages.most_common(_SHOWN), self._languages.total()
        language, guessed = guesses[0]
        return HealthReport(
            documents=self._documents,
            empty_documents=len(tally.empty_ids),
            empty_ids=tuple(tally.empty_ids[:_SHOWN]),
            duplicate_documents=self._documents - len(self._texts),
            duplicate_ids=tuple(self._duplicate_ids),
            replaced_characters=tally.replaced_characters,
            words=measure_lengths(self._words),
            window_tokens=self._window_tokens,
            long_share=round(sum(self._is_long) / len(self._is_long), 4),
            long_sample=len(self._is_long),
            language=language,
            language_share=round(guessed / sampled, 4),
            languages={name: round(count / sampled, 4) for name, count in guesses},
            labels=None if labels is None else count_labels(labels),
        )


def dataset_health(
    folder: Path,
    *,
    models: Path,
    window_tokens: int = PrepareConfig().window_tokens,
    count_tokens: CountTokens | None = None,
) -> HealthReport:
    """Check a dataset folder, with or without labels. `count_tokens` is the bundled encoder's unless given.

    Raises InputError for anything that the stage prepare would refuse to read.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; a dataset is a folder with {CORPUS_FILE}")
    labels = read_labels(folder) if has_labels(folder) else None
    unknown = {judgement.doc_id for judgement in labels or ()}
    tally = Tally()
    corpus = folder / CORPUS_FILE
    check = HealthCheck(count_tokens or bundled_token_counter(models), window_tokens, count_lines(corpus))
    for document in check.watch(iter_documents(corpus, tally)):
        unknown.discard(document.doc_id)
    check_documents(labels or (), unknown.difference(tally.empty_ids))
    return check.report(tally, labels)


def bundled_token_counter(models: Path) -> CountTokens:
    """Count as the bundled encoder does, without cutting. `models` is the catalogue's folder of models."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(encoder_folder(_ENCODER, models) / "tokenizer.json"))
    tokenizer.no_truncation()  # the file carries the settings of the model's training: cut and filled up to 128
    tokenizer.no_padding()
    return lambda text: len(tokenizer.encode(text).ids)


def measure_lengths(words: Counter[int]) -> Lengths:
    """Lengths and their histogram from how many documents have how many words."""
    histogram = tuple(
        Bar(low, high, sum(count for length, count in words.items() if low <= length < (high or math.inf)))
        for low, high in pairwise((0, *_BOUNDS, None))
        if low is not None
    )
    mean = sum(length * count for length, count in words.items()) / words.total()
    return Lengths(round(mean, 1), _quantile(words, 0.5), _quantile(words, 0.95), max(words), histogram)


def count_labels(labels: Labels) -> LabelCounts:
    """Queries and judged pairs by split."""
    judged = {split: {row.query_id for row in rows} for split, rows in labels.judgements.items()}
    without = len(labels.queries.keys() - set().union(*judged.values()))
    return LabelCounts(
        queries=len(labels.queries),
        queries_without_judgement=without,
        judged_queries={split: len(query_ids) for split, query_ids in judged.items()},
        judged_pairs={split: len(rows) for split, rows in labels.judgements.items()},
    )


def _quantile(words: Counter[int], share: float) -> int:
    """The smallest length that at least this share of the documents does not exceed."""
    seen, total = 0, words.total()
    for length in sorted(words):
        seen += words[length]
        if seen >= share * total:
            return length
    return max(words)
