"""An experiment from what was asked to the comparison: plans it, checks it, runs it step by step and records it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sptar_engine import catalog, experiment, workspace
from sptar_engine.arms import BI_ENCODER, Variant
from sptar_engine.artifacts import write_json
from sptar_engine.fit import check_base, check_fit, check_seeds
from sptar_engine.pipeline import StageResult, Store, named_models
from sptar_engine.presets import PRESETS, Settings
from sptar_engine.steps import DATASET, DECISIONS, Step
from sptar_engine.terminal import Board

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """What somebody asked for. `out` is the store of all stages and belongs to one run at a time.

    `place` is a folder below `out` for experiment.json and comparison.json, so that several questions share one
    store; "" is `out` itself. `models_asked` are the language model and the base for all stages, `asked` what was set
    by name. The others are those of `experiment.plan`.
    """

    dataset: Path
    out: Path
    models: Path
    preset: str
    arms: tuple[str, ...]
    families: tuple[str, ...] = (BI_ENCODER,)
    seeds: int = 1
    decisions: Path | None = None
    models_asked: Settings = field(default_factory=dict)
    asked: Settings = field(default_factory=dict)
    variants: tuple[Variant, ...] = ()
    equal_pairs: bool = False
    place: str = ""

    @property
    def folder(self) -> Path:
        """Where experiment.json and comparison.json lie."""
        return self.out / self.place

    @property
    def settings(self) -> Settings:
        """The preset's, with the models that were asked for."""
        return experiment.merge(PRESETS[self.preset].settings, self.models_asked)

    @property
    def about(self) -> dict[str, Any]:
        """What experiment.json says of the order."""
        return {
            "dataset": self.dataset.resolve().name, "preset": self.preset, "arms": list(self.arms),
            "families": list(self.families), "settings": self.asked, "seeds": self.seeds,
            "equal_pairs": self.equal_pairs,
        }  # fmt: skip

    def plan(self, decided: Settings | None = None) -> tuple[Step, ...]:
        """The steps; `decided` is what the machine decided. Raises ConfigError for what does not go together."""
        return experiment.plan(
            self.arms, experiment.merge(decided or {}, self.settings), families=self.families, seeds=self.seeds,
            decisions=self.decisions is not None, asked=self.asked, variants=self.variants,
            equal_pairs=self.equal_pairs,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished experiment: what `sptar compare` shows, the steps, and their results by id."""

    comparison: dict[str, Any]
    steps: tuple[Step, ...]
    results: dict[str, StageResult]


def conduct(campaign: Campaign, should_stop: Callable[[], bool]) -> Outcome:
    """Run all steps that are not done yet, showing them on standard error.

    Raises InputError and ConfigError before anything slow for what cannot work, Cancelled when asked to stop.
    """
    steps = campaign.plan()
    _check_models(steps, campaign.models)
    for name in {str(step.config.as_dict()["base"]) for step in steps if step.stage == "train"}:
        check_base(steps, catalog.encoder_folder(name, campaign.models))
    runner = _Runner(campaign, len(steps))
    with workspace.occupy(campaign.out):
        # The dataset is read before anything slow: what is wrong with it is said within seconds.
        runner.run(steps, steps[:1], "cpu", should_stop)
        prepared = runner.done[steps[0].step_id]
        for warning in check_fit(steps, prepared.metrics):
            _log.warning(warning)
        check_seeds(steps, prepared.folder)
        runner.machine = machine = _machine(campaign, steps)
        steps = campaign.plan(experiment.everywhere(dtype=machine["dtype"], threads=machine["threads"]))
        runner.run(steps, steps, machine["device"], should_stop)
        comparison = workspace.compare(campaign.folder)
        write_json(campaign.folder / workspace.COMPARISON, comparison)
    return Outcome(comparison, steps, runner.done)


class _Runner:
    """Runs steps, shows them on the board and writes experiment.json after each."""

    def __init__(self, campaign: Campaign, total: int) -> None:
        self.machine: dict[str, Any] = {}
        self.done: dict[str, StageResult] = {}
        self._campaign = campaign
        self._board = Board(total)
        self._store = Store(root=campaign.out, models=campaign.models)
        self._givens = {DATASET: campaign.dataset}
        if campaign.decisions is not None:
            self._givens[DECISIONS] = campaign.decisions

    def run(self, plan: Sequence[Step], steps: Sequence[Step], device: str, should_stop: Callable[[], bool]) -> None:
        """Run some steps of a plan."""

        def finished(step: Step, result: StageResult) -> None:
            self.done[step.step_id] = result
            self._board.finish(step, result)
            about = {**self._campaign.about, "machine": self.machine}
            workspace.record(self._campaign.folder, about, plan, self.done)

        try:
            experiment.run(
                steps, self._givens, self._store, done=dict(self.done), device=device, report=self._board.show,
                should_stop=should_stop, started=self._board.start, finished=finished,
            )  # fmt: skip
        finally:
            self._board.close()


def _check_models(steps: Sequence[Step], models: Path) -> None:
    """Raise ConfigError or InputError for a model that is not here, before anything is written."""
    for name, kind in {(name, kind) for step in steps for _, name, kind in named_models(step.config)}:
        catalog.describe(name, kind, models)


def _machine(campaign: Campaign, steps: Sequence[Step]) -> dict[str, Any]:
    """What the machine decides, measured with the language model where one takes part."""
    named = (one for step in steps for one in named_models(step.config))
    name = next((name for field, name, _ in named if field == "model"), None)
    if name is None:
        return workspace.machine(campaign.out, None, "")
    return workspace.machine(campaign.out, catalog.language_model_folder(name, campaign.models), name)
