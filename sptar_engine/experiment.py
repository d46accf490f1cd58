"""An experiment: arms that are compared, and the steps they need, each shared step once.

`plan` is pure and light; a web application can show and queue its steps one by one. `run` does them in order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sptar_engine.arms import ARMS, BI_ENCODER, FAMILIES, HYBRID, Arm, cell
from sptar_engine.configs import CONFIGS, StageConfig, Value, build_config
from sptar_engine.course import Course, fusing
from sptar_engine.errors import ConfigError
from sptar_engine.pipeline import StageResult, Store, run_stage
from sptar_engine.presets import Settings
from sptar_engine.stage import Progress
from sptar_engine.steps import DATASET, Step, changed, setting


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


def plan(
    arms: Sequence[str],
    settings: Settings,
    *,
    families: Sequence[str] = (BI_ENCODER,),
    seeds: int = 1,
    decisions: bool = False,
) -> tuple[Step, ...]:
    """Return the steps of an experiment in an order that runs, baselines first.

    `families` are the kinds of retrievers that every trained arm gets. `seeds` trains each that many times, with
    consecutive seeds. `decisions` says that a file with a person's verdicts on weak queries takes part in training.
    Raises ConfigError for a setting out of range.
    """
    chosen = [ARMS[name] for name in arms]
    configs = _build(settings)
    _check_agreement(configs)
    steps = [Step("prepare", "prepare", configs["prepare"], {"dataset": DATASET}, tuple(arms))]
    for arm in chosen:
        if not arm.trains:
            steps += _baseline(arm, configs, families)
    tuned = tuple(arm.name for arm in chosen if arm.tunes)
    if tuned:
        steps.append(Step("tune", "tune", configs["tune"], {"prepare": "prepare"}, tuned))
    own = {arm.name: _build(merge(settings, arm.settings)) for arm in chosen}
    for arm in chosen:
        if arm.generates:
            steps += _writing(arm, own[arm.name])
    trained = [arm for arm in chosen if arm.trains]
    for arm in trained:
        for number in range(seeds):
            steps += Course(arm, own[arm.name], families, number, decisions).steps()
    if trained:
        last = trained[-1]
        steps += [_packaging(last, family, own[last.name]) for family in families if FAMILIES[family].trains]
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
    """Folders of the evaluate steps by cell (see `cell`), one per training seed."""
    folders: dict[str, list[Path]] = {}
    for step in steps:
        if step.stage == "evaluate":
            folders.setdefault(step.cell, []).append(results[step.step_id].folder)
    return folders


def _build(settings: Settings) -> dict[str, StageConfig]:
    return {stage: build_config(stage, settings.get(stage, {})) for stage in CONFIGS}


def _check_agreement(configs: Mapping[str, StageConfig]) -> None:
    """Every arm has the same base and every prompt the same language model, or the comparison means nothing."""
    llm = ("tune.model", "select.model", "generate.model", "teach.model", "package.language_model")
    base = tuple(f"{stage}.base" for stage in ("train", "mine", "filter", "fuse", "evaluate", "package"))
    for option, places in (("--llm", llm), ("--base", base)):
        names = {str(setting(configs, place)) for place in places}
        if len(names) > 1:
            raise ConfigError(option, f"one model for all stages, not {' and '.join(sorted(names))}; use {option} NAME")
    for one, other in (
        ("train.max_length", "evaluate.max_length"), ("fuse.max_length", "evaluate.max_length"),
        ("fuse.k1", "evaluate.k1"), ("fuse.b", "evaluate.b"), ("train.rerank_depth", "evaluate.rerank_depth"),
        ("teach.rerank_depth", "train.rerank_depth"), ("prepare.min_grade", "evaluate.min_grade"),
    ):  # fmt: skip
        if setting(configs, one) != setting(configs, other):
            raise ConfigError(one, f"must be the same as {other}, or what is chosen is not what is measured; set both")


def _baseline(arm: Arm, configs: Mapping[str, StageConfig], families: Sequence[str]) -> list[Step]:
    """BM25 and the untrained bi-encoder; a hybrid is compared with the untrained hybrid."""
    retriever = "bm25" if arm.name == "bm25" else "dense"
    config = changed(configs["evaluate"], retriever=retriever)
    inputs = {"prepare": "prepare"}
    steps = [Step(f"evaluate.{arm.name}", "evaluate", config, inputs, (arm.name,))]
    if arm.name != "bm25" and HYBRID in families:
        steps += fusing(arm, configs, cell(arm.name, HYBRID), inputs)
    return steps


def _writing(arm: Arm, configs: Mapping[str, StageConfig]) -> list[Step]:
    prompt = {"prepare": "prepare"} | ({"tune": "tune"} if arm.tunes else {})
    select, generate, keep = f"select.{arm.name}", f"generate.{arm.name}", f"filter.{arm.name}"
    return [
        Step(select, "select", configs["select"], prompt, (arm.name,)),
        Step(generate, "generate", configs["generate"], prompt | {"select": select}, (arm.name,)),
        Step(keep, "filter", configs["filter"], {"prepare": "prepare", "generate": generate}, (arm.name,)),
    ]


def _packaging(arm: Arm, family: str, configs: Mapping[str, StageConfig]) -> Step:
    name = cell(arm.name, family)
    inputs = {"prepare": "prepare", "train": f"train.{name}", "evaluate": f"evaluate.{name}"}
    if arm.tunes:
        inputs["tune"] = "tune"
    if arm.generates:
        inputs["filter"] = f"filter.{arm.name}"
    return Step(f"package.{name}", "package", configs["package"], inputs, (arm.name,), family)
