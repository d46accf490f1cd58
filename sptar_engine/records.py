"""The values that travel between the stages. Ids are always `str`; things relate by id, never by position."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Document:
    """One unit of the corpus."""

    doc_id: str
    text: str
    title: str = ""

    @property
    def content(self) -> str:
        """What BM25, the language model and the encoder all read: title, one space, text."""
        return f"{self.title} {self.text}".strip()


@dataclass(frozen=True, slots=True)
class Query:
    """A question, by a person or by the language model.

    `style` is the kind of query that a person said it is (`data.query_styles`); empty when nobody said.
    """

    query_id: str
    text: str
    style: str = ""


Corpus = Mapping[str, Document]
"""Documents by id, in corpus order. May be backed by a file."""


@dataclass(frozen=True, slots=True)
class Qrels:
    """Relevance judgements: `grades[query_id][doc_id]`. A missing pair is unjudged, which is not grade 0."""

    grades: Mapping[str, Mapping[str, int]]

    def relevant(self, query_id: str, min_grade: int = 1) -> tuple[str, ...]:
        """Ids of the documents of at least `min_grade` for a query, sorted by (-grade, doc_id)."""
        grades = self.grades.get(query_id, {})
        return tuple(sorted((d for d in grades if grades[d] >= min_grade), key=lambda d: (-grades[d], d)))

    def answered(self, min_grade: int = 1) -> tuple[str, ...]:
        """Ids of the queries with a document of at least `min_grade`, in their order: those that can be measured."""
        return tuple(query_id for query_id in self.grades if self.relevant(query_id, min_grade))

    @property
    def pairs(self) -> int:
        """Number of judged pairs, grade 0 included."""
        return sum(len(grades) for grades in self.grades.values())


@dataclass(frozen=True, slots=True)
class SeedPair:
    """A query and one document that a person found relevant to it."""

    query: Query
    document: Document


@dataclass(frozen=True, slots=True)
class Prompt:
    """What stands before a document when the language model writes a query for it.

    `examples` are shown in this order; `adapter` is the folder of a PEFT soft prompt, or None for a hard prompt.
    `instruction` stands before the examples; `style` is the kind of query asked for. Both may be empty.
    """

    prompt_id: str
    examples: tuple[SeedPair, ...]
    adapter: Path | None
    instruction: str = ""
    style: str = ""


@dataclass(frozen=True, slots=True)
class WeakPair:
    """A generated query and the document it was written for.

    `rank` is the place of that document in BM25's ranking for the query, from 1; None when it is not known or
    beyond the depth that was searched.
    """

    weak_id: str
    query: str
    doc_id: str
    prompt_id: str
    rank: int | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A document in a ranking. A higher score is better."""

    doc_id: str
    score: float


Rankings = Mapping[str, Sequence[Hit]]
"""For each query id its hits, best first, ordered by (-score, doc_id)."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """Measures such as `nDCG@10`: `mean[measure]` and `per_query[measure][query_id]`, all within 0 to 1."""

    mean: Mapping[str, float]
    per_query: Mapping[str, Mapping[str, float]]


def rank_hits(hits: Iterable[Hit], depth: int | None = None) -> list[Hit]:
    """Return the hits in the order used everywhere, (-score, doc_id), cut at `depth`."""
    return sorted(hits, key=lambda hit: (-hit.score, hit.doc_id))[:depth]
