"""Stored rankings measured anew: by other judgements than those of their day, or beside those of another run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from sptar_engine.evaluation.baselines import CANNOT_TELL
from sptar_engine.evaluation.compare import (
    DECIDING,
    Comparison,
    PerQuery,
    average_seeds,
    compare,
    compare_arms,
    holm,
    interval,
    spread_of_seeds,
)
from sptar_engine.evaluation.metrics import measure
from sptar_engine.evaluation.trec import read_run
from sptar_engine.records import Qrels

Scores = dict[str, dict[str, float]]
"""`[measure][query_id]`, averaged over the runs of an arm that differ in the training seed alone."""

_ALPHA = 0.05  # as sptar_engine.evaluation.compare decides


def score_runs(runs: Sequence[Path], qrels: Qrels, min_grade: int = 1) -> Scores:
    """Measure the run files of one arm by `qrels`, which may name only queries that were searched.

    A searched query without hits scores 0. Raises InputError when no query has a document of `min_grade`.
    """
    return average_seeds(_score_each(runs, qrels, min_grade))


def rescore(
    runs: Mapping[str, Sequence[Path]], qrels: Qrels, min_grade: int = 1
) -> tuple[dict[str, Scores], dict[str, dict[str, Any]]]:
    """Measure and compare arms by other judgements: the values per query, and the table of `compare_arms`.

    An arm of several runs has `seeds` in the table, see `spread_of_seeds`.
    """
    each = {arm: _score_each(paths, qrels, min_grade) for arm, paths in runs.items()}
    scores = {arm: average_seeds(found) for arm, found in each.items()}
    table = compare_arms(scores)
    for arm, found in each.items():
        if len(found) > 1:
            table[arm]["seeds"] = spread_of_seeds(found)
    return scores, table


def compare_experiments(
    before: Mapping[str, Scores], after: Mapping[str, Scores], unchanged: Sequence[str] = ()
) -> dict[str, dict[str, Any]]:
    """Compare the arms that two experiments share, each with itself, on nDCG@10.

    Both must be measured on the same queries by the same judgements. An arm in `unchanged` has the same rankings in
    both: it is shown and is no test, so that it takes no part in Holm's adjustment. Each arm has `before` and `after`
    (mean, low, high) and `versus`, a Comparison of after against before.
    """
    shared = [arm for arm in before if arm in after]
    pairs = {arm: (after[arm][DECIDING], before[arm][DECIDING]) for arm in shared}
    tested = compare_each({arm: pair for arm, pair in pairs.items() if arm not in unchanged})
    same = {arm: compare_each({arm: pair})[arm] for arm, pair in pairs.items() if arm in unchanged}
    return {
        arm: {
            "before": asdict(interval(_values(before[arm]))),
            "after": asdict(interval(_values(after[arm]))),
            "versus": asdict((tested | same)[arm]),
        }
        for arm in shared
    }


def compare_each(pairs: Mapping[str, tuple[Mapping[str, float], Mapping[str, float]]]) -> dict[str, Comparison]:
    """Compare several pairs (ours, other) by name; together they are one family of Holm's adjustment.

    Raises InputError when the two of a pair were not measured on the same queries.
    """
    found = {name: compare(ours, other) for name, (ours, other) in pairs.items()}
    adjusted = holm({name: one.p for name, one in found.items()})
    # A larger p can only take a verdict back.
    return {
        name: replace(one, p=adjusted[name], verdict=one.verdict if adjusted[name] < _ALPHA else CANNOT_TELL)
        for name, one in found.items()
    }


def _score_each(runs: Sequence[Path], qrels: Qrels, min_grade: int) -> list[PerQuery]:
    return [measure(qrels, read_run(path), min_grade).per_query for path in runs]


def _values(scores: Scores) -> list[float]:
    return [scores[DECIDING][query_id] for query_id in sorted(scores[DECIDING])]
