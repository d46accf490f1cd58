"""Starting experiments, doing one again, stopping it, naming it."""

from __future__ import annotations

import errno
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

from django.db import transaction
from django.db.models import Max

from sptar_engine.arms import BI_ENCODER
from sptar_engine.artifacts import sha256_json
from sptar_engine.configs import Value
from sptar_engine.data.splits import MIN_TRAIN
from sptar_engine.steps import DECISIONS, Step
from webapp.models import Experiment, Project, StageRun, User
from webapp.places import corpus_folder, decisions_file, snapshot_folder
from webapp.planning import steps_of
from webapp.selectors import estimates
from webapp.selectors.fits import misfit
from webapp.selectors.models import choices
from webapp.services import events, snapshots, stages
from webapp.services.snapshots import Snapshot

Settings = Mapping[str, Mapping[str, Value]]

_INHERITED = (
    "project", "preset", "arms", "families", "settings", "seeds", "equal_pairs", "corpus", "labels_version", "dataset",
    "counts", "based_on", "change", "decisions", "decision_counts", "series",
)  # fmt: skip
_CPU = frozenset({"prepare", "package"})  # stages that never have a neural model at work


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
    families: Sequence[str] = (BI_ENCODER,),
    seeds: int = 1,
    equal_pairs: bool = False,
    name: str = "",
    note: str = "",
) -> Experiment:
    """Take a snapshot, plan the stages and queue the first ones.

    A second call with the same token returns the first one's experiment. Raises NotReadyError for data that cannot
    carry an experiment, ConfigError for settings out of range, ValidationError for a name or note that is too long.
    """
    if (found := find(project, request_token)) is not None:
        return found
    steps = steps_of(
        preset=preset, arms=arms, families=families, settings=settings, seeds=seeds, equal_pairs=equal_pairs
    )
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
    if problem := misfit(steps, snapshot.counts):
        raise NotReadyError(problem)
    _check_disk(project, steps, snapshot)
    draft = Experiment(
        project=project, request_token=request_token, preset=preset, arms=list(arms),
        families=list(families), settings=settings, seeds=seeds, equal_pairs=equal_pairs, name=name.strip(),
        note=note.strip(), corpus=project.corpus, labels_version=project.labels_version, dataset=snapshot.name,
        counts=dict(snapshot.counts), started_by=actor,
    )  # fmt: skip
    return _create(draft, steps, "experiment.started")


def repeat(*, experiment: Experiment, actor: User, request_token: str) -> Experiment:
    """Start an experiment again with the same data, settings and verdicts. What is stored comes back at once.

    Raises NotReadyError when its data is not on disk any more.
    """
    return follow(
        experiment=experiment, actor=actor, request_token=request_token, verb="experiment.repeated",
        reviewed=reviewed_arms(experiment), name=experiment.name, note=experiment.note, repeat_of=experiment,
    )  # fmt: skip


def follow(
    *,
    experiment: Experiment,
    actor: User,
    request_token: str,
    verb: str,
    reviewed: Collection[str],
    **changes: Any,
) -> Experiment:
    """Start an experiment on the data of another one that differs from it in `changes`, fields of the row, alone.

    In the training of the arms `reviewed` the verdicts take part; of the others nothing changes by them. Raises
    NotReadyError when that data is not on disk any more, ConfigError for settings out of range.
    """
    if (found := find(experiment.project, request_token)) is not None:
        return found
    fields = {name: getattr(experiment, name) for name in _INHERITED} | changes
    draft = Experiment(request_token=request_token, started_by=actor, **fields)
    folder = snapshot_folder(draft.project, draft.dataset)
    if not folder.is_dir() or (reviewed and not decisions_file(draft.project, draft.decisions).is_file()):
        raise NotReadyError("The data of that experiment is not on disk any more. Start a new one instead.")
    return _create(draft, planned(draft, reviewed), verb)


def planned(experiment: Experiment, reviewed: Collection[str]) -> tuple[Step, ...]:
    """The engine's plan of an experiment, stored or not, with verdicts in the training of the arms `reviewed` alone.

    So an arm whose questions nobody read is trained as before, and its stored result comes back. Verdicts change the
    number of questions of an arm, so then nothing is compared at equal numbers.
    """
    steps = steps_of(
        preset=experiment.preset, arms=experiment.arms, families=experiment.families, settings=experiment.settings,
        seeds=experiment.seeds, decisions=bool(reviewed), equal_pairs=experiment.equal_pairs and not reviewed,
    )  # fmt: skip
    return tuple(step if set(step.arms) & set(reviewed) else _without_decisions(step) for step in steps)


def reviewed_arms(experiment: Experiment) -> set[str]:
    """The arms in whose training verdicts took part."""
    rows = experiment.stages.filter(stage="train").values_list("inputs", "arms")
    return {arm for inputs, arms in rows if DECISIONS in inputs for arm in arms}


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


def find(project: Project, request_token: str) -> Experiment | None:
    """The experiment that a request has made already."""
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
        if (found := find(draft.project, draft.request_token)) is not None:
            return found
        newest = Experiment.objects.filter(project=draft.project).aggregate(newest=Max("number"))["newest"]
        draft.number = (newest or 0) + 1
        draft.clean_fields(
            exclude=["settings", "machine", "counts", "decision_counts", "comparison", "arms", "families"]
        )
        draft.save()
        StageRun.objects.bulk_create(_stage_run(draft, at, step) for at, step in enumerate(steps))
        facts = {"experiment": draft.number, "preset": draft.preset, "arms": draft.arms, "families": draft.families}
        events.record(verb, project=draft.project, actor=draft.started_by, **facts)
        stages.queue_ready(draft)
    return draft


def _without_decisions(step: Step) -> Step:
    return replace(step, inputs={role: source for role, source in step.inputs.items() if source != DECISIONS})


def _stage_run(experiment: Experiment, position: int, step: Step) -> StageRun:
    return StageRun(
        experiment=experiment, position=position, step_id=step.step_id, stage=step.stage, arms=list(step.arms),
        family=step.family, variant=step.variant, config=step.config.as_dict(), inputs=dict(step.inputs),
        equal=list(step.equal), queue="cpu" if _is_light(step) else "gpu",
    )  # fmt: skip


def _is_light(step: Step) -> bool:
    """Whether no neural model is at work: keyword search alone, clean-up, packing."""
    config = step.config.as_dict()
    if step.stage == "filter":
        return config["method"] != "round_trip"
    return step.stage in _CPU or config.get("retriever") == "bm25" or config.get("source") == "bm25"
