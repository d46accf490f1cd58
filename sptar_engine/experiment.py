"""An experiment: arms that are compared, and the steps they need, each shared step once.

`plan` is pure and light; a web application can show and queue its steps one by one. `run` does them in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sptar_engine.agreement import check_agreement
from sptar_engine.arms import ARMS, BI_ENCODER, BM25, EQUAL_PAIRS, FAMILIES, HYBRID, Arm, Variant, cell
from sptar_engine.configs import CONFIGS, StageConfig, Value, build_config
from sptar_engine.course import Course, fusing, packaging, writing
from sptar_engine.errors import ConfigError, InputError
from sptar_engine.pipeline import StageResult, Store, run_stage
from sptar_engine.presets import Settings
from sptar_engine.stage import Progress
from sptar_engine.steps import DATASET, Step, changed, setting, shared


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
    asked: Settings | None = None,
    variants: Sequence[Variant] = (),
    equal_pairs: bool = False,
) -> tuple[Step, ...]:
    """Return the steps of an experiment in an order that runs: what is quick and what is compared with comes first.

    `settings` are those of a preset; an arm's own lie over them; `asked` is what somebody asked for by name and lies
    over both. `families` are the kinds of retrievers that every trained arm gets. `seeds` trains each that many times,
    with consecutive seeds. `decisions` says that a file with a person's verdicts on weak queries takes part.
    `variants` are arms once more, with other settings; `equal_pairs` adds one of each arm that writes queries, all of
    them trained on equally many. Raises ConfigError for settings that are out of range or do not go together.
    """
    chosen = [ARMS[name] for name in arms]
    if equal_pairs:
        variants = (*variants, *_equal_variants(chosen, decisions))
    entries = [_Entry(arm, _build(merge(settings, arm.settings, asked or {}))) for arm in chosen]
    for one in variants:
        configs = _build(merge(settings, ARMS[one.arm].settings, asked or {}, one.settings))
        entries.append(_Entry(ARMS[one.arm], configs, one.name, one.equal_pairs))
    steps = shared(_steps(entries, families, seeds, decisions))
    check_agreement(steps)
    return steps


@dataclass(frozen=True, slots=True)
class _Entry:
    """An arm, or a variant of it, with its settings."""

    arm: Arm
    configs: Mapping[str, StageConfig]
    variant: str = ""
    equal_pairs: bool = False


def _steps(entries: Sequence[_Entry], families: Sequence[str], seeds: int, decisions: bool) -> Iterator[Step]:
    """All steps that each entry needs, shared ones several times. Variants come last, when the table is whole."""
    arms = tuple(entry.arm.name for entry in entries if not entry.variant)
    yield Step("prepare", "prepare", entries[0].configs["prepare"], {"dataset": DATASET}, arms)
    for entry in entries:
        if not entry.arm.trains:
            yield from _baseline(entry, families)
    for entry in entries:
        if entry.arm.tunes:
            name = cell("tune", "", entry.variant)
            yield Step(
                name, "tune", entry.configs["tune"], {"prepare": "prepare"}, (entry.arm.name,), variant=entry.variant
            )
    own = [entry for entry in entries if not entry.variant]
    filters = tuple(f"filter.{entry.arm.name}" for entry in own if entry.arm.generates)
    for group in (own, [entry for entry in entries if entry.variant]):
        for entry in group:
            if entry.arm.generates:
                yield from writing(entry.arm, entry.configs, entry.variant)
        yield from _learning(group, families, seeds, decisions, filters)
        if group is own:
            yield from _packages(own, families)


def _learning(
    entries: Sequence[_Entry], families: Sequence[str], seeds: int, decisions: bool, filters: tuple[str, ...]
) -> Iterator[Step]:
    """Seed by seed and family by family, so that a grid that is not finished can be compared row with row."""
    for number in range(seeds):
        for family in families:
            for entry in entries:
                if entry.arm.trains:
                    equal = filters if entry.equal_pairs else ()
                    course = Course(entry.arm, entry.configs, entry.variant, number, decisions, equal)
                    yield from course.steps(family)


def _packages(entries: Sequence[_Entry], families: Sequence[str]) -> Iterator[Step]:
    """The archive of each trained family of the last arm, which is the one that all others are measured for."""
    if trained := [entry for entry in entries if entry.arm.trains]:
        last = trained[-1]
        for family in families:
            if FAMILIES[family].trains:
                yield packaging(last.arm, family, last.configs, families)


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
        config = settled(step, {source: results[source].metrics["kept"] for source in step.equal})
        result = run_stage(config, inputs, store, device=device, report=report, should_stop=should_stop)
        results[step.step_id] = result
        finished(step, result)
        _check_equal(steps, results)
    return results


def _check_equal(steps: Sequence[Step], results: Mapping[str, StageResult]) -> None:
    """Raise InputError as soon as all filters of a comparison at equal numbers are done and one kept nothing."""
    for step in steps:
        if step.equal and all(source in results for source in step.equal):
            settled(step, {source: results[source].metrics["kept"] for source in step.equal})


def settled(step: Step, kept: Mapping[str, int]) -> StageConfig:
    """The settings that a step runs with; `kept` has the number of pairs that each filter step of `step.equal` kept.

    An arm that has no more than the others keeps its settings, and so finds its own training in the cache. Raises
    InputError when an arm kept no pair at all.
    """
    if not step.equal:
        return step.config
    fewest = min(step.equal, key=lambda source: (kept[source], source))
    if kept[fewest] == 0:
        raise InputError(
            f"The filter of the arm {fewest.partition('.')[2]} kept no query, so there is no equal number to compare "
            "at; loosen the filter or leave the comparison at equal numbers out."
        )
    own = step.inputs.get("filter", "")
    if kept.get(own, kept[fewest] + 1) <= kept[fewest]:
        return step.config
    limit = setting({step.stage: step.config}, "train.weak_limit")
    assert isinstance(limit, int)
    return changed(step.config, weak_limit=min(kept[fewest], limit or kept[fewest]))


def _build(settings: Settings) -> dict[str, StageConfig]:
    return {stage: build_config(stage, settings.get(stage, {})) for stage in CONFIGS}


def _equal_variants(arms: Sequence[Arm], decisions: bool) -> tuple[Variant, ...]:
    writers = [arm.name for arm in arms if arm.generates]
    if len(writers) < 2:
        raise ConfigError("--equal-pairs", "compares arms that write queries, so name two of them with --arms")
    if decisions:
        reason = "verdicts change the number of pairs of one arm; compare at equal numbers without --decisions"
        raise ConfigError("--equal-pairs", reason)
    return tuple(Variant(name, EQUAL_PAIRS, equal_pairs=True) for name in writers)


def _baseline(entry: _Entry, families: Sequence[str]) -> Iterator[Step]:
    """BM25 and the untrained bi-encoder; a hybrid is compared with the untrained hybrid."""
    name, inputs = entry.arm.name, {"prepare": "prepare"}
    config = changed(entry.configs["evaluate"], retriever="bm25" if name == BM25 else "dense")
    yield Step(f"evaluate.{name}", "evaluate", config, inputs, (name,))
    if name != BM25 and HYBRID in families:
        yield from fusing(entry.arm, entry.configs, cell(name, HYBRID), inputs)
