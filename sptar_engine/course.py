"""The steps from an arm's training data to its measured retrievers: mining, teaching, training, fusing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sptar_engine.arms import BI_ENCODER, CROSS_ENCODER, FAMILIES, HYBRID, Arm, cell
from sptar_engine.configs import StageConfig
from sptar_engine.steps import DECISIONS, Step, changed, setting

Inputs = Mapping[str, str]
"""Ids of the steps before, by role."""

LIKELIHOOD, NOBODY = "likelihood", "none"


@dataclass(frozen=True, slots=True)
class Course:
    """What the retrievers of one arm learn from, and the training of each with one of the experiment's seeds.

    `number` counts the seeds from 0; `decisions` says that a person's verdicts on weak queries take part.
    """

    arm: Arm
    configs: Mapping[str, StageConfig]
    families: Sequence[str]
    number: int
    decisions: bool

    def steps(self) -> Iterator[Step]:
        """The steps in an order that runs. What all seeds share is made by the first."""
        given, trained = self._given(), [name for name in self.families if FAMILIES[name].trains]
        if self._mines(trained):
            if self.number == 0:
                yield Step(f"mine.{self.arm.name}", "mine", self.configs["mine"], given, (self.arm.name,))
            given = {**given, "mine": f"mine.{self.arm.name}"}
        if self._teacher == CROSS_ENCODER:
            # It comes first, in the grid or only to teach, and is the one family without a teacher.
            first = self._training(CROSS_ENCODER, given)
            yield first
            if CROSS_ENCODER in trained:
                yield self._measuring(CROSS_ENCODER)
            yield self._teaching("", {**given, "train": first.step_id})
        elif self._teacher == LIKELIHOOD:
            prompt = {"select": f"select.{self.arm.name}"} | ({"tune": "tune"} if self.arm.tunes else {})
            yield self._teaching("", {**given, **prompt})
        for name in trained:
            yield from self._family(name, given)
        if HYBRID in self.families:
            fused = {"prepare": "prepare", "train": f"train.{self._named(BI_ENCODER)}"}
            yield from fusing(self.arm, self.configs, self._named(HYBRID), fused)

    def _family(self, name: str, given: Inputs) -> Iterator[Step]:
        if self._teacher == CROSS_ENCODER and name == CROSS_ENCODER:
            return
        if self._teacher == "self":
            first = self._training(name, given, ".first")
            yield first
            yield self._teaching(name, {**given, "train": first.step_id})
            given = {**given, "teach": f"teach.{self._named(name)}"}
        elif self._teacher != NOBODY and name != CROSS_ENCODER:
            given = {**given, "teach": f"teach.{self._named('')}"}
        yield self._training(name, given)
        yield self._measuring(name)

    @property
    def _teacher(self) -> str:
        """Who teaches; the likelihood of a query is that of the prompt which wrote it, so it needs one."""
        teacher = str(setting(self.configs, "teach.teacher"))
        return NOBODY if teacher == LIKELIHOOD and not self.arm.generates else teacher

    def _mines(self, trained: Sequence[str]) -> bool:
        return bool(setting(self.configs, "train.negatives")) or self._teacher != NOBODY or CROSS_ENCODER in trained

    def _given(self) -> Inputs:
        given = {"prepare": "prepare"}
        if self.arm.generates:
            given |= {"filter": f"filter.{self.arm.name}"} | ({DECISIONS: DECISIONS} if self.decisions else {})
        return given

    def _training(self, family: str, inputs: Inputs, suffix: str = "") -> Step:
        seed = setting(self.configs, "train.seed")
        assert isinstance(seed, int)
        config = changed(self.configs["train"], seed=seed + self.number, family=family)
        return Step(f"train.{self._named(family)}{suffix}", "train", config, inputs, (self.arm.name,), family)

    def _measuring(self, family: str) -> Step:
        config = changed(self.configs["evaluate"], retriever=FAMILIES[family].retriever)
        inputs = {"prepare": "prepare", "train": f"train.{self._named(family)}"}
        return Step(f"evaluate.{self._named(family)}", "evaluate", config, inputs, (self.arm.name,), family)

    def _teaching(self, family: str, inputs: Inputs) -> Step:
        name = self._named(family)
        return Step(f"teach.{name}", "teach", self.configs["teach"], inputs, (self.arm.name,), family)

    def _named(self, family: str) -> str:
        """The end of a step's id: the cell, and the number of the training from the second on."""
        name = cell(self.arm.name, family)
        return name if self.number == 0 else f"{name}.{self.number + 1}"


def fusing(arm: Arm, configs: Mapping[str, StageConfig], name: str, inputs: Mapping[str, str]) -> list[Step]:
    """Put BM25 and the dense retriever of `inputs` together. `name` is the end of the steps' ids."""
    measuring = changed(configs["evaluate"], retriever=FAMILIES[HYBRID].retriever)
    return [
        Step(f"fuse.{name}", "fuse", configs["fuse"], inputs, (arm.name,), HYBRID),
        Step(f"evaluate.{name}", "evaluate", measuring, {**inputs, "fuse": f"fuse.{name}"}, (arm.name,), HYBRID),
    ]
