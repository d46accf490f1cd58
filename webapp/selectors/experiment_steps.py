"""The steps that an experiment goes through: where each stands, and why."""

from __future__ import annotations

from collections.abc import Sequence

from django.urls import reverse

from webapp.models import Project, State
from webapp.selectors.step_facts import (
    ATTENTION,
    DONE,
    NAMES,
    OUTDATED,
    READY,
    RUNNING,
    WAITING,
    Facts,
    Newest,
    Step,
)

_STAGES = {
    "tune": ("tune", "select"),
    "generate": ("generate", "filter"),
    "train": ("mine", "teach", "train", "fuse"),
    "compare": ("evaluate",),
    "download": ("package",),
}
_WHAT = {
    "tune": "the question writer learns your style from the examples",
    "generate": "the question writer asks questions about documents without examples",
    "train": "the search model learns from the examples and the generated questions",
    "compare": "every search is measured on your test examples",
    "download": "the trained search model is packed and checked",
}
_AFTER_REVIEW = ("train", "compare", "download")  # what verdicts change


def of_experiment(project: Project, facts: Facts, key: str, is_ready: bool) -> Step:
    """One of them; `is_ready` says whether a first experiment can start."""
    name, experiment = NAMES[key], facts.experiment
    if experiment is None:
        if key == "tune" and is_ready:
            who = "start an experiment" if facts.may_edit else "an editor can start an experiment"
            why = f"Documents and examples are there: {who}, and it does the rest."
            return Step(key, name, READY, "Ready to start", why, _new_experiment(project, facts))
        return Step(key, name, WAITING, "Not started", f"In an experiment, {_WHAT[key]}.", "")
    url = _address(project, experiment, key)
    states = [state for stage, state in experiment.stages if stage in _STAGES[key]]
    if not states:
        return Step(key, name, WAITING, "Not part of it", f"Experiment {experiment.number} has no such step.", url)
    state, label, why = _progress(states, experiment.number, key, facts.may_edit)
    if state == DONE and facts.outdated:
        who = "start a new one" if facts.may_edit else "an editor can start a new one"
        why = f"Examples or documents have changed since experiment {experiment.number}: {who}."
        new = _new_experiment(project, facts)
        return Step(key, name, OUTDATED, "Out of date", why, new if key == "tune" else url)
    if state == DONE and key in _AFTER_REVIEW and facts.verdicts.is_sampled and not facts.verdicts.are_used:
        again = reverse("retrain", args=[project.slug, experiment.number])
        can_start = key == "train" and facts.may_edit
        return Step(key, name, OUTDATED, "Out of date", _unused_verdicts(facts), again if can_start else url)
    return Step(key, name, state, label, why, url)


def _address(project: Project, experiment: Newest, key: str) -> str:
    """Where a step of an experiment is looked at. The file to download is the project's newest, whoever made it."""
    if key == "compare":
        return str(reverse("experiment_compare", args=[project.slug, experiment.number]))
    if key == "download":
        return str(reverse("download", args=[project.slug]))
    return f"{reverse('experiment', args=[project.slug, experiment.number])}#{key}"


def _unused_verdicts(facts: Facts) -> str:
    assert facts.experiment is not None
    who = "train again with them" if facts.may_edit else "an editor can train again with them"
    return f"Verdicts on generated questions were given or changed since experiment {facts.experiment.number}: {who}."


def _new_experiment(project: Project, facts: Facts) -> str:
    """Where a new experiment is started; for who may not, where all experiments are listed."""
    return str(reverse("experiment_new" if facts.may_edit else "experiments", args=[project.slug]))


def _progress(found: Sequence[State], number: int, key: str, may_edit: bool) -> tuple[str, str, str]:
    states = set(found)
    if State.FAILED in states:
        return ATTENTION, "Failed", f"This step of experiment {number} failed: its page says why and what to do."
    if State.RUNNING in states:
        return RUNNING, "Running", f"In experiment {number} {_WHAT[key]}."
    if State.CANCELLED in states:
        who = "it can" if may_edit else "an editor can let it"
        return READY, "Stopped", f"Experiment {number} was stopped; {who} go on from where it was."
    if states == {State.DONE}:
        return DONE, "Done", f"Done in experiment {number}."
    if State.QUEUED in states:
        return RUNNING, "In the queue", f"This step of experiment {number} waits for a free worker."
    if State.DONE in states:
        return RUNNING, "Partly done", f"{found.count(State.DONE)} of {len(found)} parts are done."
    return WAITING, "Waiting", f"Experiment {number} comes to this after its earlier steps."
