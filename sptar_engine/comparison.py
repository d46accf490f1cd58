"""The cells of an experiment beside each other: measures with intervals, verdicts, the family chosen on dev, costs.

Everything is read from experiment.json and the metrics of the evaluate steps, so a grid that is not finished can be
compared as well; what is not there yet is named.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sptar_engine.arms import ARMS, FAMILIES, cell, read_cell
from sptar_engine.artifacts import read_json
from sptar_engine.errors import InputError
from sptar_engine.evaluation.baselines import settle
from sptar_engine.training.pairs import WRITTEN, count_pairs

_DECIDING = "nDCG@10"
_DEV = f"dev_{_DECIDING}"
_MEASURING, _TRAINING = "evaluate", "train"

Row = Mapping[str, Any]
"""A finished step, as experiment.json has it."""


def compare(experiment: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Compare the cells that are evaluated so far; per query over all training seeds first (DESIGN section 4).

    A cell whose trainings all kept the untrained model is never better than an untrained search, see `settle`.
    `folder` is where experiment.json lies. Returns what `sptar compare --json` prints: `dataset`; `arms`, by cell (see
    `arms.cell`) the measures, `versus`, `training`, `seconds`, `peak_mib` and, trained more than once, `seeds`;
    `families`, the one that did best on the held-out queries by arm; `missing`, the cells that were asked for and are
    not evaluated yet; `notes`, what a step warned of. Raises InputError when no cell is evaluated.
    """
    from sptar_engine.evaluation.compare import average_seeds, compare_arms, spread_of_seeds  # numpy and scipy

    steps = Steps(experiment["steps"])
    if not steps.measured:
        raise InputError(f"No arm of {folder} is evaluated yet; start the experiment again to go on.")
    runs = {
        name: [read_json(folder / row["folder"] / "metrics.json")["per_query"] for row in rows]
        for name, rows in steps.measured.items()
    }
    arms = compare_arms({name: average_seeds(per_query) for name, per_query in runs.items()})
    for name, found in arms.items():
        found |= _facts(steps, name) | ({"seeds": spread_of_seeds(runs[name])} if len(runs[name]) > 1 else {})
    settle(arms)
    asked = experiment.get("cells", [])
    return {
        "dataset": experiment["dataset"],
        "arms": arms,
        "families": _families(steps),
        "missing": [name for name in asked if name not in arms],
        "notes": list(_notes(steps.rows)),
    }


class Steps:
    """The finished steps of an experiment, and how they hang together."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        self._by_id = {row["step"]: row for row in rows}
        self.measured: dict[str, list[Row]] = {}
        for row in rows:
            if row["stage"] == _MEASURING:
                self.measured.setdefault(cell_of(row), []).append(row)

    def before(self, row: Row, stage: str) -> Row | None:
        """The step of a stage that a step reads, at first hand or through others; None when it reads none.

        Of several the nearest: an evaluation's training, not that of its teacher.
        """
        return next((found for found in self._back(row) if found["stage"] == stage), None)

    def cost(self, rows: Iterable[Row]) -> dict[str, float]:
        """What it took to make these steps from nothing: seconds of all steps they hang on, and the highest peak."""
        needed = {found["step"]: found for row in rows for found in (row, *self._back(row))}.values()
        return {
            "seconds": round(sum(row["seconds"] for row in needed), 1),
            "peak_mib": max(row.get("peak_mib", 0) for row in needed),
        }

    def _back(self, row: Row) -> Iterator[Row]:
        """The steps that a step hangs on, nearest first, each once."""
        seen, waiting = {row["step"]}, [row]
        while waiting:
            for source in waiting.pop(0).get("inputs", {}).values():
                if source in self._by_id and source not in seen:
                    seen.add(source)
                    waiting.append(self._by_id[source])
                    yield self._by_id[source]


def cell_of(row: Row) -> str:
    """The cell that a step belongs to."""
    return cell(row["arms"][0], row.get("family", ""), row.get("variant", ""))


def _facts(steps: Steps, name: str) -> dict[str, Any]:
    """What stands beside a cell's measures."""
    rows = steps.measured[name]
    facts: dict[str, Any] = steps.cost(rows)
    if trained := [row for one in rows if (row := steps.before(one, _TRAINING)) is not None]:
        facts["training"] = [_training(row) for row in trained]
    return facts


def _training(row: Row) -> dict[str, Any]:
    """What a training said of itself against the untrained model."""
    metrics = row["metrics"]
    return {
        "step": row["step"],
        "weak_pairs": count_pairs(metrics, WRITTEN),
        "kept_untrained": metrics["kept_untrained"],
        "trained_below_untrained": metrics[f"{_DEV}_trained"] < metrics[f"{_DEV}_untrained"],
        "sentence": metrics["sentence"],
    }


def _families(steps: Steps) -> dict[str, dict[str, Any]]:
    """By trained arm the family with the highest nDCG@10 on the held-out queries, of equal ones the first.

    Compared are the values that the trainings and fusions chose by, means over the seeds; no test query takes part.
    """
    dev: dict[str, dict[str, float]] = {}
    for name, rows in steps.measured.items():
        one = read_cell(name)
        scores = [score for row in rows if (score := _dev_score(steps, row)) is not None]
        if scores and not one.variant and one.arm in ARMS and ARMS[one.arm].trains:
            dev.setdefault(one.arm, {})[one.family] = statistics.fmean(scores)
    ordered = {arm: {name: found[name] for name in FAMILIES if name in found} for arm, found in dev.items()}
    return {arm: {"chosen": max(found, key=lambda name: found[name]), "dev": found} for arm, found in ordered.items()}


def _dev_score(steps: Steps, row: Row) -> float | None:
    chosen_by = steps.before(row, "fuse") or steps.before(row, _TRAINING)
    score = chosen_by["metrics"].get(_DEV) if chosen_by else None
    return None if score is None else float(score)


def _notes(rows: Sequence[Row]) -> Iterator[str]:
    """A teacher that was not fit to teach, and a training for which no weak query was kept.

    What a training said of itself stands with its cell.
    """
    for row in rows:
        if row["stage"] == "teach" and row["metrics"].get("teaches") is False:
            yield f"{row['step']}: {row['metrics'].get('sentence', 'the teacher was not fit to teach')}"
        is_training = row["stage"] == _TRAINING and "filter" in row.get("inputs", {})
        if is_training and not count_pairs(row["metrics"], WRITTEN):
            yield f"{row['step']}: no weak query was kept, so it learned from the labelled pairs alone."
