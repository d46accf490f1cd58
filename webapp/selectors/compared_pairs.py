"""Two experiments side by side: what differs in how they were made, and the test of the arms that both have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sptar_engine.arms import ARMS
from sptar_engine.artifacts import read_json, sha256_json
from sptar_engine.configs import CONFIGS
from sptar_engine.errors import SptarError
from webapp import places
from webapp.models import Errand, Experiment, State
from webapp.selectors import measured
from webapp.selectors.measured import Version
from webapp.selectors.verdicts import Value, Verdict, verdict_of
from webapp.selectors.words import arm_name, family_name, preset_name, stage_name
from webapp.sentences import without_paths

KIND = "experiment.pair"

_BY_MACHINE = frozenset({"dtype", "threads"})
_BY_FAMILY = frozenset({"train.family", "evaluate.retriever"})  # said by the kinds of search models
_PLACES = 1 << 31  # ids of experiments lie below


@dataclass(frozen=True, slots=True)
class Difference:
    """Something in which the two were made differently."""

    stage: str
    option: str
    before: str
    after: str
    help: str
    by_machine: bool = False


@dataclass(frozen=True, slots=True)
class PairRow:
    """One arm in both experiments, on the questions that they share."""

    arm: str
    name: str
    before: Value
    after: Value
    verdict: Verdict
    unchanged: bool


@dataclass(frozen=True, slots=True)
class Paired:
    """The test of two experiments."""

    rows: list[PairRow]
    queries: int
    left_out: int
    judgements: str
    per_query: Mapping[str, Mapping[str, list[float]]]


def subject_of(before: Experiment, after: Experiment) -> int:
    """The number by which errands know this pair."""
    return before.pk * _PLACES + after.pk


def judged_by(before: Experiment, after: Experiment) -> tuple[Experiment, Version]:
    """The newest judgements of the two: both are measured by them."""
    versions = [(experiment, measured.newest(experiment)) for experiment in (before, after)]
    return max(versions, key=lambda one: (one[1].labels_version, one[0].pk))


def basis_of(before: Experiment, after: Experiment) -> str:
    """Names what the test rests on: other runs or other judgements make it another name."""
    experiment, version = judged_by(before, after)
    folders = [
        {arm: [folder.name for folder in some] for arm, some in measured.evaluations(one).items()}
        for one in (before, after)
    ]
    return sha256_json([experiment.pk, version.number, version.qrels, folders])


def pair_file(before: Experiment, after: Experiment) -> Path:
    """Where the test of a pair lies."""
    return places.experiment_folder(after) / f"against-{before.slug}.json"


def paired_of(before: Experiment, after: Experiment) -> Paired | None:
    """The test, None while there is none of these runs and judgements."""
    try:
        found = read_json(pair_file(before, after))
        if found["basis"] != basis_of(before, after):
            return None
        rows = [_row(arm, one) for arm, one in found["arms"].items()]
        return Paired(rows, found["queries"], found["left_out"], found["judgements"], found["per_query"])
    except (SptarError, KeyError, TypeError):
        return None


def errand_of(before: Experiment, after: Experiment) -> Errand | None:
    """The newest errand that tests this pair."""
    rows = Errand.objects.filter(project=before.project_id, kind=KIND, subject=subject_of(before, after))
    return rows.order_by("-pk").first()


def differences_of(before: Experiment, after: Experiment) -> list[Difference]:
    """How the two were made, only what differs: the data first, then every option of every step."""
    facts = [
        Difference("Experiment", name, *pair, "") for name, pair in _facts(before, after).items() if pair[0] != pair[1]
    ]
    one, other = _configs(before), _configs(after)
    options = [
        _difference(stage, option, one[stage][option], other[stage].get(option))
        for stage in CONFIGS
        if stage in one and stage in other
        for option in {**one[stage], **other[stage]}
        if option in one[stage] and one[stage][option] != other[stage].get(option)
    ]
    return [*facts, *options]


def _row(arm: str, found: Mapping[str, Any]) -> PairRow:
    return PairRow(
        arm, arm_name(arm), Value(**found["before"]), Value(**found["after"]),
        verdict_of("", found["versus"]), found["unchanged"],
    )  # fmt: skip


def _facts(before: Experiment, after: Experiment) -> dict[str, tuple[str, str]]:
    return {
        name: (read(before), read(after))
        for name, read in {
            "Preset": lambda one: preset_name(one.preset),
            "Compared": lambda one: ", ".join(arm_name(arm) for arm in one.arms),
            "Kinds of search models": lambda one: ", ".join(family_name(family) for family in one.families),
            "Repeats of each training": lambda one: str(one.seeds),
            "Version of the documents": lambda one: str(one.corpus.number),
            "Training examples": lambda one: f"{one.counts.get('train', 0):,}",
            "Equal numbers of questions": lambda one: "as well" if one.equal_pairs else "no",
            "Held-out examples": lambda one: f"{one.counts.get('dev', 0):,}",
            "Test examples": lambda one: f"{one.counts.get('test', 0):,}",
            "Data (snapshot)": lambda one: one.dataset[:12],
            "Verdicts on generated questions": _decisions,
            "Machine": lambda one: ", ".join(f"{name} {value}" for name, value in sorted(one.machine.items())),
        }.items()
    }


def _decisions(experiment: Experiment) -> str:
    counts = [f"{count:,} {name}" for name, count in sorted(experiment.decision_counts.items()) if count]
    return ", ".join(counts) if experiment.decisions else "none"


def _configs(experiment: Experiment) -> dict[str, Mapping[str, Any]]:
    """The settings by stage, of the first step; of arms with settings of their own only where there are no others."""
    rows = list(experiment.stages.order_by("-position").values_list("stage", "arms", "config"))
    rows.sort(key=lambda row: not (row[1][0] in ARMS and ARMS[row[1][0]].settings))
    return {
        stage: {name: value for name, value in config.items() if f"{stage}.{name}" not in _BY_FAMILY}
        for stage, _, config in rows
    }


def _difference(stage: str, option: str, before: Any, after: Any) -> Difference:
    field = CONFIGS[stage].__dataclass_fields__.get(option)
    words = field.metadata.get("help", "") if field else ""
    shown = [without_paths("-" if value is None else str(value)) for value in (before, after)]
    return Difference(stage_name(stage), option, *shown, words, option in _BY_MACHINE)


def is_open(errand: Errand | None) -> bool:
    """Whether an errand still does something by itself."""
    return errand is not None and not State(errand.state).is_over
