"""Starting experiments, doing one again, stopping it, naming it."""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from django.db import transaction
from django.db.models import Max

from sptar_engine.artifacts import sha256_json
from sptar_engine.configs import Value
from sptar_engine.data.splits import MIN_TRAIN
from sptar_engine.experiment import Step, plan
from webapp.models import Experiment, Project, StageRun, User
from webapp.places import corpus_folder, snapshot_folder
from webapp.selectors import estimates
from webapp.selectors.models import choices
from webapp.services import events, snapshots, stages
from webapp.services.snapshots import Snapshot

Settings = Mapping[str, Mapping[str, Value]]

_CPU = frozenset({"prepare", "filter", "package"})  # stages without a neural model, as BM25's evaluation


class NotReadyError(Exception):
    """The experiment cannot start. The text says what is missing and what to do."""


def start(
    *,
    project: Project,
    actor: User,
    request_token: str,
    preset: str,
    arms: Sequence[str],
    settings: Settings,
    seeds: int = 1,
    name: str = "",
    note: str = "",
) -> Experiment:
    """Take a snapshot, plan the stages and queue the first ones.

    A second call with the same token returns the first one's experiment. Raises NotReadyError for data that cannot
    carry an experiment, ConfigError for settings out of range, ValidationError for a name or note that is too long.
    """
    if (found := _find(project, request_token)) is not None:
        return found
    steps = plan(arms, settings, seeds=seeds)
    # Read before the snapshot: a change in between makes the experiment out of date, as it should be.
    project.refresh_from_db(fields=["labels_version", "corpus"])
    try:
        snapshot = snapshots.take(project)
    except snapshots.SnapshotError as error:
        raise NotReadyError(str(error)) from error
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise NotReadyError("The server's disk is full. Nothing was started; free some space first.") from error
    _check_labels(snapshot)
    _check_disk(project, steps, snapshot)
    draft = Experiment(
        project=project, request_token=request_token, preset=preset, arms=list(arms), settings=settings, seeds=seeds,
        name=name.strip(), note=note.strip(), corpus=project.corpus, labels_version=project.labels_version,
        dataset=snapshot.name, counts=dict(snapshot.counts), started_by=actor,
    )  # fmt: skip
    return _create(draft, steps, "experiment.started")


def repeat(*, experiment: Experiment, actor: User, request_token: str) -> Experiment:
    """Start an experiment again with the same data and settings. What is stored comes back at once.

    Raises NotReadyError when its data is not on disk any more.
    """
    if (found := _find(experiment.project, request_token)) is not None:
        return found
    if not snapshot_folder(experiment.project, experiment.dataset).is_dir():
        raise NotReadyError("The data of that experiment is not on disk any more. Start a new one instead.")
    draft = Experiment(
        project=experiment.project, request_token=request_token, preset=experiment.preset, arms=experiment.arms,
        settings=experiment.settings, seeds=experiment.seeds, name=experiment.name, note=experiment.note,
        corpus=experiment.corpus, labels_version=experiment.labels_version, dataset=experiment.dataset,
        counts=experiment.counts, repeat_of=experiment, started_by=actor,
    )  # fmt: skip
    steps = plan(experiment.arms, experiment.settings, seeds=experiment.seeds)
    return _create(draft, steps, "experiment.repeated")


def describe(*, experiment: Experiment, actor: User, name: str, note: str) -> Experiment:
    """Change the name and the note. Raises ValidationError when one is too long."""
    experiment.name, experiment.note = name.strip(), note.strip()
    others = [field.name for field in Experiment._meta.fields if field.name not in ("name", "note")]
    experiment.clean_fields(exclude=others)
    with transaction.atomic():
        experiment.save(update_fields=["name", "note"])
        events.record("experiment.described", project=experiment.project, actor=actor, experiment=experiment.number)
    return experiment


def make_token(after: int, *choices: Any) -> str:
    """The token of a request: equal for equal choices made while experiment `after` was the newest.

    So a double click and a second tab with the same choices ask for one experiment, and asking for the same again
    later, or for something else from the second tab, is another one.
    """
    return sha256(sha256_json([after, *choices]).encode()).hexdigest()


def _find(project: Project, request_token: str) -> Experiment | None:
    return Experiment.objects.filter(project=project, request_token=request_token).first()


def _check_labels(snapshot: Snapshot) -> None:
    """Raise NotReadyError when prepare would refuse this snapshot, so that it is said now and not by a failed stage."""
    counts = snapshot.counts
    gone = f" ({snapshot.left_out} judgements are of documents that this version does not have)"
    tail = f"{gone if snapshot.left_out else ''}. Add examples on the page Examples."
    if counts["train"] < MIN_TRAIN:
        need = MIN_TRAIN - counts["train"]
        raise NotReadyError(
            f"There are {counts['train']} training examples and {MIN_TRAIN} are the least: {need} more needed{tail}"
        )
    for split, words in (("dev", "held-out"), ("test", "test")):
        if not counts[split]:
            raise NotReadyError(f"There is no {words} example, and at least one is needed{tail}")


def _check_disk(project: Project, steps: Sequence[Step], snapshot: Snapshot) -> None:
    assert project.corpus is not None
    size = (corpus_folder(project.corpus) / "corpus.jsonl").stat().st_size
    disk = estimates.estimate(steps, snapshot.counts, size, choices()).disk
    if not disk.is_enough:
        needed, free = (f"{value / 1e9:.1f} GB" for value in (disk.needed, disk.free))
        raise NotReadyError(f"The disk has {free} free and about {needed} are needed. Free some space first.")


def _create(draft: Experiment, steps: Sequence[Step], verb: str) -> Experiment:
    with transaction.atomic():
        # Numbers are given out one at a time, and of two equal requests the second one waits here for the first.
        Project.objects.select_for_update().get(pk=draft.project_id)
        if (found := _find(draft.project, draft.request_token)) is not None:
            return found
        newest = Experiment.objects.filter(project=draft.project).aggregate(newest=Max("number"))["newest"]
        draft.number = (newest or 0) + 1
        draft.clean_fields(exclude=["settings", "machine", "counts", "comparison", "arms"])
        draft.save()
        StageRun.objects.bulk_create(_stage_run(draft, at, step) for at, step in enumerate(steps))
        facts = {"experiment": draft.number, "preset": draft.preset, "arms": draft.arms}
        events.record(verb, project=draft.project, actor=draft.started_by, **facts)
        stages.queue_ready(draft)
    return draft


def _stage_run(experiment: Experiment, position: int, step: Step) -> StageRun:
    config = step.config.as_dict()
    is_light = step.stage in _CPU or config.get("retriever") == "bm25"
    return StageRun(
        experiment=experiment, position=position, step_id=step.step_id, stage=step.stage, arms=list(step.arms),
        config=config, inputs=dict(step.inputs), queue="cpu" if is_light else "gpu",
    )  # fmt: skip
