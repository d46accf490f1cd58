"""A finished experiment with generated questions on each side of the filter's line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sptar_engine.artifacts import write_json
from tests.webapp.experiments.conftest import done_experiment, make_experiment, ready
from webapp.models import Experiment, Project, User, WeakQuery
from webapp.places import snapshot_folder, store_folder
from webapp.selectors.review_batches import Batch, find

__all__ = ["done_experiment", "make_experiment", "ready"]

FOLDERS = {"generate.sptar": "generate-s", "generate.inpars": "generate-i", "filter.sptar": "filter-s"}
RANKS = (1, 1, 2, 5, 10, 29, 30, 31, 40, 90, None, None)
"""Of the questions w0 to w11: with the threshold 30 the first seven are kept."""

GENERATED = {"queries": 14, "documents": 16, "dropped": {"empty": 1, "short": 1}}
FILTERED = {
    "total": 14, "kept": 7, "kept_share": 0.5, "dropped_empty": 0, "dropped_copy": 1, "dropped_duplicate": 1,
    "dropped_rank": 5,
}  # fmt: skip


def kept_by_k() -> list[int]:
    """How many of RANKS each threshold from 1 to 100 keeps."""
    return [sum(rank is not None and rank <= k for rank in RANKS) for k in range(1, 101)]


@pytest.fixture
def written(done_experiment: Experiment) -> Experiment:
    """Twelve questions that the threshold decides about, a copy, a duplicate and one that clean-up dropped."""
    experiment = done_experiment
    for step_id, folder in FOLDERS.items():
        experiment.stages.filter(step_id=step_id).update(folder=folder)
    experiment.stages.filter(step_id="generate.sptar").update(metrics=GENERATED)
    experiment.stages.filter(step_id="filter.sptar").update(metrics=FILTERED)
    write_json(store_folder(experiment.project) / "stages" / "filter-s" / "curve.json", {"kept_by_k": kept_by_k()})
    snapshot_folder(experiment.project, experiment.dataset).mkdir(parents=True)
    reasons = [*("" if rank is not None and rank <= 30 else "rank" for rank in RANKS), "copy", "duplicate", "short"]
    WeakQuery.objects.bulk_create(
        WeakQuery(
            project=experiment.project, batch="generate-s", weak_id=f"w{at}", doc_id=f"d{at + 20}",
            text=f"what is title {at + 20} about", rank=(*RANKS, 3, 4, None)[at], dropped=reason, risk=at / 20,
        )
        for at, reason in enumerate(reasons)
    )  # fmt: skip
    return experiment


@pytest.fixture
def batch(written: Experiment) -> Batch:
    """The questions of the tuned question writer."""
    found = find(written.project, written.number, "sptar")
    assert found is not None
    return found


@pytest.fixture
def say(written: Experiment, owner: User) -> Callable[..., WeakQuery]:
    """Return `say(weak_id, verdict)`: what counts for a question, as services.reviews keeps it."""

    def give(weak_id: str, verdict: str, edited: str = "", **more: Any) -> WeakQuery:
        row = WeakQuery.objects.get(project=written.project, weak_id=weak_id)
        values = {"verdict": verdict, "edited": edited, "reviewer": owner, **more}
        for name, value in values.items():
            setattr(row, name, value)
        row.save()
        return row

    return give


@pytest.fixture
def other_project(stranger: User) -> Project:
    """A project of somebody else."""
    return Project.objects.create(name="Elsewhere")
