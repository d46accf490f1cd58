"""Experiments made from another one by changing one thing: the verdicts, the threshold, the number of examples.

They have its data and its settings otherwise, so all that the change does not reach is found in the store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from django.db import transaction

from sptar_engine.arms import ZERO_SHOT, parse_families, read_cell
from sptar_engine.data.splits import MIN_TRAIN
from sptar_engine.experiment import merge
from webapp.cells import is_trained, wanted
from webapp.models import Change, Experiment, StageRun, State, User
from webapp.models.people import make_slug
from webapp.selectors.filtering import why_not_changed
from webapp.selectors.questions import threshold_in
from webapp.services import review_snapshots
from webapp.services.experiments import NotReadyError, find, follow, reviewed_arms

CURVE_SIZES = (10, 20, 30, 50)
"""Numbers of training examples that a learning curve tries; the number that there is comes last."""

_LONGEST = 100  # characters of a name


def with_verdicts(
    *, experiment: Experiment, actor: User, request_token: str, name: str = "", note: str = ""
) -> Experiment:
    """Train again with the verdicts as they are now. Raises NotReadyError when there is none, or no question."""
    if (found := find(experiment.project, request_token)) is not None:
        return found
    batches = batches_of(experiment)
    if not batches:
        raise NotReadyError("The questions of this experiment are not written and filtered yet.")
    taken = review_snapshots.take(experiment.project, batches.values())
    if taken is None:
        raise NotReadyError("There is no verdict yet: accept, reject or edit some of the generated questions first.")
    return follow(
        experiment=experiment, actor=actor, request_token=request_token, verb="experiment.reviewed",
        reviewed={arm for arm, batch in batches.items() if batch in taken.batches},
        name=name.strip() or _name(experiment, "with verdicts"), note=note.strip(), based_on=experiment,
        change=Change.REVIEW, series="", decisions=taken.name, decision_counts=dict(taken.counts),
        machine=experiment.machine,
        equal_pairs=False,  # a person's verdicts change the number of questions of one arm
    )  # fmt: skip


def with_threshold(
    *, experiment: Experiment, actor: User, request_token: str, top_k: int, name: str = "", note: str = ""
) -> Experiment:
    """Filter the same questions with another threshold, and train again. Verdicts that took part stay.

    Raises NotReadyError for the threshold that it has and where not every filter has one and the same, ConfigError for
    one beyond the depth that was searched.
    """
    if (found := find(experiment.project, request_token)) is not None:
        return found
    if problem := why_not_changed(experiment):
        raise NotReadyError(problem)
    if top_k == threshold_of(experiment):
        raise NotReadyError(f"Experiment {experiment.number} has the threshold {top_k} already; choose another one.")
    return follow(
        experiment=experiment, actor=actor, request_token=request_token, verb="experiment.refiltered",
        reviewed=reviewed_arms(experiment), name=name.strip() or _name(experiment, f"threshold {top_k}"),
        note=note.strip(), based_on=experiment, change=Change.THRESHOLD, series="", machine=experiment.machine,
        settings=merge_settings(experiment, {"filter": {"top_k": top_k}}),
    )  # fmt: skip


def learning_curve(
    *, experiment: Experiment, actor: User, request_token: str, arm: str, sizes: Sequence[int], seeds: int = 1
) -> list[Experiment]:
    """Start one experiment for each number of training examples, all of one series. `sizes` are of `curve_sizes`.

    `arm` is one of `cells_of`: an arm with one family of search models. Verdicts take no part: with fewer examples
    other questions are written. Raises NotReadyError for fewer than two sizes or ones that there are not.
    """
    chosen = sorted(set(sizes) & set(curve_sizes(experiment)))
    if len(chosen) < 2 or len(chosen) != len(set(sizes)):
        raise NotReadyError("A learning curve needs at least two numbers of examples, of those that are offered.")
    if arm not in cells_of(experiment):
        raise NotReadyError(f"Experiment {experiment.number} has no such way of training.")
    tokens = {size: sha256(f"{request_token} {size}".encode()).hexdigest() for size in chosen}
    known = find(experiment.project, tokens[chosen[0]])
    series = known.series if known else make_slug()
    with transaction.atomic():
        return [
            follow(
                experiment=experiment, actor=actor, request_token=tokens[size], verb="experiment.curve",
                reviewed=(), name=f"Learning curve: {size} examples", note="", based_on=experiment,
                change=Change.SEEDS, series=series, decisions="", decision_counts={}, machine=experiment.machine,
                seeds=seeds, **curve_changes(experiment, arm, size),
            )
            for size in chosen
        ]  # fmt: skip


def curve_sizes(experiment: Experiment) -> list[int]:
    """The numbers of training examples to try: the standard ones below what the experiment had, and all of these."""
    there = train_size(experiment)
    return [*(size for size in CURVE_SIZES if MIN_TRAIN <= size < there), there] if there else []


def train_size(experiment: Experiment) -> int:
    """How many training examples an experiment learns from."""
    there = int(experiment.counts.get("train", 0))
    limit = int(experiment.settings.get("prepare", {}).get("train_queries", 0))
    return min(there, limit) if limit else there


def cells_of(experiment: Experiment) -> list[str]:
    """The cells of an experiment that learn, each of which a learning curve can be drawn of."""
    return [name for name in wanted(experiment.arms, experiment.families) if is_trained(name)]


def curve_changes(experiment: Experiment, name: str, size: int) -> dict[str, Any]:
    """In what the experiment with `size` examples differs from the one that the curve is based on."""
    cell = read_cell(name)
    return {
        "arms": [ZERO_SHOT, cell.arm], "families": list(parse_families(cell.family)),
        "settings": curve_settings(experiment, size), "counts": curve_counts(experiment, size), "equal_pairs": False,
    }  # fmt: skip


def curve_settings(experiment: Experiment, size: int) -> dict[str, dict[str, object]]:
    """With all examples the settings are the experiment's own, so that its results are found again."""
    limit = {"prepare": {"train_queries": size}} if size < train_size(experiment) else {}
    return merge_settings(experiment, limit)


def curve_counts(experiment: Experiment, size: int) -> dict[str, int]:
    """What Experiment.counts says of so many training examples; the number of their pairs is in proportion."""
    counts: dict[str, int] = dict(experiment.counts)
    train = counts.get("train", 0) or 1
    return counts | {"train": size, "train_pairs": round(counts.get("train_pairs", 0) * size / train)}


def merge_settings(experiment: Experiment, change: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, object]]:
    """The experiment's settings with some changed, without stages that have none."""
    merged = merge(experiment.settings, change)
    return {stage: dict(values) for stage, values in merged.items() if values}


def batches_of(experiment: Experiment) -> dict[str, str]:
    """The batch of generated questions of each arm whose questions are written and filtered, by arm."""
    rows = StageRun.objects.filter(experiment=experiment, stage__in=["generate", "filter"], state=State.DONE)
    found: dict[str, dict[str, str]] = {}
    for stage, arms, folder in rows.order_by("position").values_list("stage", "arms", "folder"):
        for arm in arms:
            found.setdefault(arm, {})[stage] = folder
    return {arm: stages["generate"] for arm, stages in found.items() if {"generate", "filter"} <= stages.keys()}


def threshold_of(experiment: Experiment) -> int:
    """The rank within which keyword search had to find a question's own document; 0 where it decided nothing."""
    rows = experiment.stages.filter(stage="filter").order_by("position")
    found = (threshold_in(config) for config in rows.values_list("config", flat=True))
    return next((top_k for top_k in found if top_k is not None), 0)


def _name(experiment: Experiment, change: str) -> str:
    return f"{str(experiment)[: _LONGEST - len(change) - 2]}, {change}"
