"""The documents that a batch sets before its queries, and what each of them is to each query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sptar_engine.training.batches import Batch
from sptar_engine.training.pairs import TrainingSet

Teaching = Mapping[str, Mapping[int, float]]
"""By query key, a teacher's scores by document key."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Queries and documents by key, each once, and a row for every pair of the batch.

    `rows` (pairs) is the place of a pair's query among `queries`. `answers` and `hidden` (pairs, documents) are as
    `contrastive_loss` takes them. `taught` (pairs, columns) is as `distillation_loss` takes it; `columns` are the
    places of its columns among `documents`: first the own document of each pair in turn, then the others.
    """

    queries: tuple[str, ...]
    documents: tuple[int, ...]
    rows: Tensor
    answers: Tensor
    hidden: Tensor
    columns: Tensor
    taught: Tensor

    @property
    def is_taught(self) -> bool:
        """Whether the teacher has scored two documents of some query, which is what an order needs."""
        return bool((self.taught.isfinite().sum(dim=1) > 1).any())


def gather_candidates(
    batch: Batch, training_set: TrainingSet, taught: Teaching, multi_positive: bool = False
) -> Candidates:
    """Line up the documents of a batch's pairs, their queries' hard negatives, and what the teacher has scored.

    The answer to a pair's query is the pair's own document; with `multi_positive`, so are all others here that are
    known to answer it, which else are hidden. A document that is there for the teacher alone counts against nobody.
    """
    keys = [pair.query_key for pair in batch]
    queries = {key: place for place, key in enumerate(dict.fromkeys(keys))}
    negatives = (key for query in queries for key in training_set.negatives.get(query, ()))
    counted = dict.fromkeys([*(pair.document_key for pair in batch), *negatives])
    documents = tuple(counted | dict.fromkeys(key for query in queries for key in taught.get(query, ())))
    places = {key: place for place, key in enumerate(documents)}
    own = [places[pair.document_key] for pair in batch]
    is_own = nn.functional.one_hot(torch.tensor(own), len(documents)).bool()
    known = _mark([training_set.positives[key] for key in keys], places)
    answers = known | is_own if multi_positive else is_own
    columns = [*own, *sorted(set(range(len(documents))).difference(own))]
    return Candidates(
        queries=tuple(queries),
        documents=documents,
        rows=torch.tensor([queries[key] for key in keys]),
        answers=answers,
        hidden=(known | (torch.arange(len(documents)) >= len(counted))) & ~answers,
        columns=torch.tensor(columns),
        taught=_teach(keys, [documents[place] for place in columns], taught),
    )


def _mark(rows: Sequence[AbstractSet[int]], places: Mapping[int, int]) -> Tensor:
    """True at the places of the documents of each row: (rows, documents)."""
    marks = torch.zeros(len(rows), len(places), dtype=torch.bool)
    for number, row in enumerate(rows):
        marks[number, [places[key] for key in row & places.keys()]] = True
    return marks


def _teach(keys: Sequence[str], documents: Sequence[int], taught: Teaching) -> Tensor:
    """The teacher's scores. A document that several pairs own has a column for each, but counts once in a row.

    In the row of a pair that owns it that is the pair's own column, in all others the first.
    """
    first: dict[int, int] = {}
    for column, document in enumerate(documents):
        first.setdefault(document, column)
    table = torch.full((len(keys), len(documents)), torch.nan)
    for row, key in enumerate(keys):
        for document, score in taught.get(key, {}).items():
            table[row, row if documents[row] == document else first[document]] = score
    return table
