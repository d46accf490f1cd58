"""Hard negatives in a training: documents close to a query that, as far as anybody knows, do not answer it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from sptar_engine.data.beir import find_documents
from sptar_engine.data.mined import Mined
from sptar_engine.data.taught import Taught
from sptar_engine.training.pairs import TrainingSet, document_key


def fill_negatives(
    training_set: TrainingSet,
    prepare: Path,
    mined: Mapping[str, Sequence[Mined]],
    taught: Mapping[str, Taught],
    count: int,
) -> TrainingSet:
    """Give the queries of the pairs their hard negatives, and the set the texts of these and of what is taught.

    `mined` and `taught` are what the stages mine and teach left, by query key; either may be empty. A query gets the
    first `count` of its mined documents. What a person rejected is certain, so all of it takes part, within that
    number or beyond it. What a teacher scored beyond that is no negative; it is there to be put in order.
    """
    wanted = {
        key: _wanted(training_set.rejected.get(key, ()), mined.get(key, ()), count) for key in training_set.queries
    }
    scored = {doc_id for key in wanted if key in taught for doc_id in taught[key].doc_ids}
    found = find_documents(prepare, scored.union(*wanted.values()))
    keys = {doc_id: document_key(document.content) for doc_id, document in found.items()}
    chosen = {key: choose_negatives(wanted[key], keys, training_set.positives[key]) for key in wanted}
    used = scored.union(*(row.values() for row in chosen.values()))
    rejected = sum(keys[doc_id] in chosen[key] for key in chosen for doc_id in training_set.rejected.get(key, ()))
    return replace(
        training_set,
        documents={**{keys[doc_id]: found[doc_id].content for doc_id in sorted(used)}, **training_set.documents},
        negatives={key: tuple(row) for key, row in chosen.items() if row},
        counts={
            **training_set.counts,
            "rejected_negatives": rejected,
            "hard_negatives": sum(map(len, chosen.values())),
        },
    )


def choose_negatives(candidates: Iterable[str], keys: Mapping[str, int], relevant: Iterable[int]) -> dict[int, str]:
    """The candidates with different texts, none of them relevant: document ids by document key, in their order."""
    refused = set(relevant)
    chosen: dict[int, str] = {}
    for doc_id in candidates:
        if keys[doc_id] not in refused:
            chosen.setdefault(keys[doc_id], doc_id)
    return chosen


def _wanted(rejected: Sequence[str], mined: Sequence[Mined], count: int) -> tuple[str, ...]:
    certain = tuple(dict.fromkeys(rejected))
    found = (one.doc_id for one in mined if one.doc_id not in certain)
    return (*certain, *islice(found, max(0, count - len(certain))))
