"""An experiment: arms that are compared, and the steps they need, each shared step once.

`plan` is pure and light; a web application can show and queue its steps one by one. `run` does them in order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sptar_engine.configs import CONFIGS, StageConfig, Value, build_config
from sptar_engine.errors import ConfigError
from sptar_engine.pipeline import StageResult, Store, run_stage
from sptar_engine.presets import Settings
from sptar_engine.stage import Progress

DATASET = "dataset"
DECISIONS = "decisions"


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to get a retriever. Baselines neither generate nor train."""

    name: str
    help: str
    trains: bool = False
    generates: bool = False
    tunes: bool = False


ARMS: dict[str, Arm] = {
    arm.name: arm
    for arm in (
        Arm("bm25", "keyword search by Lucene, no model"),
        Arm("zero_shot", "the base retriever as it comes, untrained"),
        Arm("seeds_only", "trained on the labelled pairs alone", trains=True),
        Arm("inpars", "labelled pairs + queries by a hard prompt", trains=True, generates=True),
        Arm("sptar", "labelled pairs + queries by the tuned soft prompt", trains=True, generates=True, tunes=True),
    )
}


@dataclass(frozen=True, slots=True)
class Step:
    """A stage to run for some arms. `inputs` maps a role to another step's id, or to `dataset` / `decisions`."""

    step_id: str
    stage: str
    config: StageConfig
    inputs: Mapping[str, str]
    arms: tuple[str, ...]


def parse_arms(text: str) -> tuple[str, ...]:
    """Read `bm25,sptar` into arms in their standing order. Raises ConfigError for an unknown or missing name."""
    names = {name.strip() for name in text.split(",") if name.strip()}
    for name in sorted(names):
        if name not in ARMS:
            raise ConfigError("--arms", f"{name!r} is not an arm; choose from {', '.join(ARMS)}")
    if not names:
        raise ConfigError("--arms", f"name at least one arm of {', '.join(ARMS)}")
    return tuple(name for name in ARMS if name in names)


def merge(*layers: Settings) -> dict[str, dict[str, Value]]:
    """Lay settings over one another, later ones win. Options that do not exist raise ConfigError when built."""
    merged: dict[str, dict[str, Value]] = {stage: {} for stage in CONFIGS}
    for layer in layers:
        for stage, values in layer.items():
            merged[stage].update(values)
    return merged


def everywhere(**values: Value) -> dict[str, dict[str, Value]]:
    """Settings that give every stage having such a field the value, for example `threads` or `dtype`."""
    return {
        stage: {name: value for name, value in values.items() if name in config.__dataclass_fields__}
        for stage, config in CONFIGS.items()
    }


def plan(arms: Sequence[str], settings: Settings, *, seeds: int = 1, decisions: bool = False) -> tuple[Step, ...]:
    """Return the steps of an experiment in an order that runs, baselines first.

    `seeds` trains every trained arm that many times, with consecutive seeds. `decisions` says that a file with a
    person's verdicts on weak queries takes part in training. Raises ConfigError for a setting out of range.
    """
    chosen = [ARMS[name] for name in arms]
    configs = {stage: build_config(stage, settings.get(stage, {})) for stage in CONFIGS}
    _check_agreement(configs)
    steps = [Step("prepare", "prepare", configs["prepare"], {"dataset": DATASET}, tuple(arms))]
    steps += [_baseline(arm, configs) for arm in chosen if not arm.trains]
    tuned = tuple(arm.name for arm in chosen if arm.tunes)
    if tuned:
        steps.append(Step("tune", "tune", configs["tune"], {"prepare": "prepare"}, tuned))
    for arm in chosen:
        if arm.generates:
            steps += _writing(arm, configs)
    trained = [arm for arm in chosen if arm.trains]
    for arm in trained:
        for number in range(seeds):
            steps += _learning(arm, configs, number, decisions)
    if trained:
        steps.append(_packaging(trained[-1], configs))
    return tuple(steps)


def run(
    steps: Sequence[Step],
    givens: Mapping[str, Path],
    store: Store,
    *,
    done: Mapping[str, StageResult],
    device: str,
    report: Callable[[Progress], None],
    should_stop: Callable[[], bool],
    started: Callable[[Step], None],
    finished: Callable[[Step, StageResult], None],
) -> dict[str, StageResult]:
    """Run the steps in order, those in `done` excepted, and return all results by step id.

    `givens` holds the paths of the dataset and of the decisions. `started` and `finished` frame each step.
    """
    results = dict(done)
    for step in steps:
        if step.step_id in results:
            continue
        started(step)
        places = {**givens, **{step_id: result.folder for step_id, result in results.items()}}
        inputs = {role: places[source] for role, source in step.inputs.items()}
        result = run_stage(step.config, inputs, store, device=device, report=report, should_stop=should_stop)
        results[step.step_id] = result
        finished(step, result)
    return results


def evaluations(steps: Sequence[Step], results: Mapping[str, StageResult]) -> dict[str, list[Path]]:
    """Folders of the evaluate steps by arm, one per training seed."""
    folders: dict[str, list[Path]] = {}
    for step in steps:
        if step.stage == "evaluate":
            folders.setdefault(step.arms[0], []).append(results[step.step_id].folder)
    return folders


def _check_agreement(configs: Mapping[str, StageConfig]) -> None:
    """Every arm has the same base and every prompt the same language model, or the comparison means nothing."""
    llm = ("tune.model", "select.model", "generate.model", "package.language_model")
    for option, places in (("--llm", llm), ("--base", ("train.base", "evaluate.base", "package.base"))):
        names = {str(_setting(configs, place)) for place in places}
        if len(names) > 1:
            raise ConfigError(option, f"one model for all stages, not {' and '.join(sorted(names))}; use {option} NAME")
    for one, other in (("train.max_length", "evaluate.max_length"), ("prepare.min_grade", "evaluate.min_grade")):
        if _setting(configs, one) != _setting(configs, other):
            raise ConfigError(one, f"must be the same as {other}, or what is chosen is not what is measured; set both")


def _setting(configs: Mapping[str, StageConfig], place: str) -> Value:
    stage, _, field = place.partition(".")
    return configs[stage].as_dict()[field]


def _baseline(arm: Arm, configs: Mapping[str, StageConfig]) -> Step:
    retriever = "bm25" if arm.name == "bm25" else "dense"
    config = _changed(configs["evaluate"], retriever=retriever)
    return Step(f"evaluate.{arm.name}", "evaluate", config, {"prepare": "prepare"}, (arm.name,))


def _writing(arm: Arm, configs: Mapping[str, StageConfig]) -> list[Step]:
    prompt = {"prepare": "prepare"} | ({"tune": "tune"} if arm.tunes else {})
    select, generate, keep = f"select.{arm.name}", f"generate.{arm.name}", f"filter.{arm.name}"
    return [
        Step(select, "select", configs["select"], prompt, (arm.name,)),
        Step(generate, "generate", configs["generate"], prompt | {"select": select}, (arm.name,)),
        Step(keep, "filter", configs["filter"], {"prepare": "prepare", "generate": generate}, (arm.name,)),
    ]


def _learning(arm: Arm, configs: Mapping[str, StageConfig], number: int, decisions: bool) -> list[Step]:
    name = arm.name if number == 0 else f"{arm.name}.{number + 1}"
    seed = configs["train"].as_dict()["seed"]
    assert isinstance(seed, int)
    training = _changed(configs["train"], seed=seed + number)
    measuring = _changed(configs["evaluate"], retriever="dense")
    inputs = {"prepare": "prepare"}
    if arm.generates:
        inputs |= {"filter": f"filter.{arm.name}"} | ({DECISIONS: DECISIONS} if decisions else {})
    return [
        Step(f"train.{name}", "train", training, inputs, (arm.name,)),
        Step(f"evaluate.{name}", "evaluate", measuring, {"prepare": "prepare", "train": f"train.{name}"}, (arm.name,)),
    ]


def _changed(config: StageConfig, **values: Value) -> StageConfig:
    return build_config(config.STAGE, {**config.as_dict(), **values})


def _packaging(arm: Arm, configs: Mapping[str, StageConfig]) -> Step:
    inputs = {"prepare": "prepare", "train": f"train.{arm.name}", "evaluate": f"evaluate.{arm.name}"}
    if arm.tunes:
        inputs["tune"] = "tune"
    if arm.generates:
        inputs["filter"] = f"filter.{arm.name}"
    return Step(f"package.{arm.name}", "package", configs["package"], inputs, (arm.name,))
