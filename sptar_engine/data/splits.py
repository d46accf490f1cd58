"""Which labelled query is for what: training (seeds), held-out (perplexity, choice of model), or the final test.

The rule is DESIGN section 3: minimums first, 50 queries become 20 / 10 / 20, and from 160 on 50 / 40 / the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from itertools import pairwise

from sptar_engine.data.beir import SPLITS
from sptar_engine.data.judgements import Judgement
from sptar_engine.data.labels import UNSPLIT, Labels
from sptar_engine.data.query_text import normalised
from sptar_engine.errors import InputError
from sptar_engine.records import Query

MIN_TRAIN = 8
"""Training queries below which neither a soft prompt nor a choice of examples means anything (issue 2)."""

# (queries, train, dev), the rest is test; straight lines between the rows, and the last holds for all beyond it.
_SIZES = ((18, MIN_TRAIN, 4), (50, 20, 10), (160, 50, 40))

Splits = Mapping[str, tuple[Judgement, ...]]
"""Judgements by split, for each of SPLITS."""


def split_sizes(queries: int) -> dict[str, int]:
    """How many of so many labelled queries each split gets. Raises InputError when they are too few to split."""
    fewest, train, dev = _SIZES[0]
    if queries < fewest:
        parts = f"{train} train, {dev} held-out and {fewest - train - dev} test"
        raise InputError(
            f"{queries} labelled queries are too few to split: at least {fewest} with a relevant document are needed "
            f"({parts}), or a split that you make yourself"
        )
    for (low, train, dev), (high, more_train, more_dev) in pairwise(_SIZES):
        if low <= queries < high:
            train += (more_train - train) * (queries - low) // (high - low)
            dev += (more_dev - dev) * (queries - low) // (high - low)
            break
    else:
        _, train, dev = _SIZES[-1]
    return {"train": train, "dev": dev, "test": queries - train - dev}


def assign_splits(queries: Sequence[Query], seed: int) -> dict[str, str]:
    """The split of each query by id. Queries with the same normalised text stay together and count as one.

    Stable: the queries stand in an order that depends on each one's id and the seed alone; train is taken from its
    beginning and dev from its end. So one more query changes the split of at most two others, and none goes from
    train to dev or back. Raises InputError when there are too few.
    """
    groups: dict[str, list[str]] = {}
    for query in queries:
        groups.setdefault(normalised(query.text), []).append(query.query_id)
    ordered = sorted(groups.values(), key=lambda ids: min(draw(query_id, seed) for query_id in ids))
    sizes = split_sizes(len(ordered))
    places = ["train"] * sizes["train"] + ["test"] * sizes["test"] + ["dev"] * sizes["dev"]
    return {query_id: place for place, ids in zip(places, ordered, strict=True) for query_id in ids}


def split_labels(labels: Labels, *, seed: int, min_grade: int) -> Splits:
    """The judgements by split: the dataset's own, or made by `assign_splits`.

    Where we split, a query without a relevant document is left out: it can be neither seed nor test. Raises
    InputError when there are too few queries, or a split that is needed has none.
    """
    if labels.is_split:
        splits = {split: labels.judgements.get(split, ()) for split in SPLITS}
    else:
        answered = answered_queries(labels.judgements[UNSPLIT], min_grade)
        chosen = assign_splits([query for query in labels.queries.values() if query.query_id in answered], seed)
        splits = {
            split: tuple(row for row in labels.judgements[UNSPLIT] if chosen.get(row.query_id) == split)
            for split in SPLITS
        }
    _check_minimums(splits, min_grade)
    return splits


def limit_train(splits: Splits, limit: int, *, seed: int, min_grade: int) -> Splits:
    """Keep only `limit` training queries (0 = all): the same ones for a seed, so that ten are among the twenty."""
    if not limit:
        return splits
    seeds = sorted(answered_queries(splits["train"], min_grade), key=lambda query_id: draw(query_id, seed))
    kept = set(seeds[:limit])
    limited = {**splits, "train": tuple(row for row in splits["train"] if row.query_id in kept)}
    _check_minimums(limited, min_grade)
    return limited


def answered_queries(judgements: Sequence[Judgement], min_grade: int) -> set[str]:
    """Ids of the queries with a relevant document."""
    return {judgement.query_id for judgement in judgements if judgement.grade >= min_grade}


def draw(query_id: str, seed: int) -> str:
    """The key by which queries stand in a random order: it depends on nothing but this id and the seed."""
    return sha256(f"{seed}:{query_id}".encode()).hexdigest()


def _check_minimums(splits: Splits, min_grade: int) -> None:
    counts = {split: len(answered_queries(splits[split], min_grade)) for split in SPLITS}
    relevant = f"queries with a relevant document (grade {min_grade} or more)"
    if counts["train"] < MIN_TRAIN:
        raise InputError(f"{_where('train')} has {counts['train']} {relevant}; at least {MIN_TRAIN} are needed")
    if not counts["dev"]:
        raise InputError(f"{_where('dev')} has no {relevant}; held-out queries are needed to choose prompt and model")
    if not counts["test"]:
        raise InputError(f"{_where('test')} has no {relevant}; the evaluation needs them")


def _where(split: str) -> str:
    return f"the {split} split (qrels/{split}.tsv, or pairs with split {split})"
