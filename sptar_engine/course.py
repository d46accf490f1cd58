"""The steps in which one retriever of an arm is made: mining, teaching, training, fusing, measuring.

A course names every step that its retriever hangs on, also those that it shares with others; `steps.shared` leaves each
of them once. So what a retriever learns from does not depend on what else an experiment compares, and is found again
in the cache when a family is added or left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sptar_engine.arms import BI_ENCODER, CROSS_ENCODER, FAMILIES, HYBRID, Arm, cell, ending
from sptar_engine.configs import CROSS_ENCODER_NEGATIVES, LONGEST_NAME, STARTS_RANDOM, StageConfig
from sptar_engine.steps import DECISIONS, Step, changed, setting

Inputs = Mapping[str, str]
"""Ids of the steps before, by role."""

NOBODY, LIKELIHOOD, ITSELF, TOGETHER = "none", "likelihood", "self", "hybrid"
"""Values of `teach.teacher`."""

_TAUGHT_TOGETHER = (BI_ENCODER, "adapter")
"""Families that compare a query with a hundred documents for next to nothing, as the teacher `hybrid` asks."""


@dataclass(frozen=True, slots=True)
class Course:
    """What the retrievers of an arm, or of a variant of it, learn from in one training.

    `number` counts the trainings from 0, each with another seed; `decisions` says that a person's verdicts on weak
    queries take part; `equal` are the filter steps whose smallest number of kept pairs no training goes beyond.
    """

    arm: Arm
    configs: Mapping[str, StageConfig]
    variant: str = ""
    number: int = 0
    decisions: bool = False
    equal: tuple[str, ...] = ()

    def steps(self, family: str) -> Iterator[Step]:
        """The steps from mining to measuring for one family, in an order that runs."""
        if family != HYBRID:
            yield from self._learning(family)
            yield self._measuring(family)
            return
        yield from self._learning(BI_ENCODER)
        inputs = {"prepare": "prepare", "train": f"train.{self._named(BI_ENCODER)}"}
        yield from fusing(self.arm, self.configs, self._named(HYBRID), inputs, self.variant)

    def _learning(self, family: str) -> Iterator[Step]:
        """Mining, the teacher's training and teaching where the family has a use for them, then its training."""
        given, teacher = self._given(), self._teacher_of(family)
        mined = {"mine": f"mine.{self._named('', numbered=False)}"}
        reads_mined = family == CROSS_ENCODER or bool(setting(self.configs, "train.negatives"))
        if reads_mined or teacher not in (NOBODY, TOGETHER):
            yield self._step(mined["mine"], "mine", given)
        lesson = {**given, **mined} if reads_mined else given
        if teacher != NOBODY:
            yield from self._teaching(teacher, family, lesson, given if teacher == TOGETHER else {**given, **mined})
            lesson = {**lesson, "teach": self._taught(teacher, family)}
        yield self._training(family, lesson)

    def _teaching(self, teacher: str, family: str, lesson: Inputs, mined: Inputs) -> Iterator[Step]:
        """The teacher's own training on the same data, unless it is the language model, and its scores."""
        name = self._taught(teacher, family)
        if teacher == TOGETHER:
            yield self._step(name, "teach", mined)
            return
        if teacher == LIKELIHOOD:
            prompt = {"select": f"select.{self._writes}"} | ({"tune": self._tune} if self.arm.tunes else {})
            yield self._step(name, "teach", {**mined, **prompt})
            return
        first = (
            self._training(CROSS_ENCODER, mined)
            if teacher == CROSS_ENCODER
            else self._training(family, lesson, suffix=".first")
        )
        yield first
        yield self._step(name, "teach", {**mined, "train": first.step_id}, family if teacher == ITSELF else "")

    def _taught(self, teacher: str, family: str) -> str:
        """The id of the step in which a teacher scores: of its own for each family that is its own teacher."""
        learns = teacher not in (LIKELIHOOD, TOGETHER)
        return f"teach.{self._named(family if teacher == ITSELF else '', numbered=learns)}"

    def _teacher_of(self, family: str) -> str:
        """Who teaches a family. A cross-encoder that teaches has no teacher itself.

        The likelihood of a query is that of the prompt which wrote it, so an arm without a prompt has no such teacher.
        """
        teacher = str(setting(self.configs, "teach.teacher"))
        cannot = (
            teacher == CROSS_ENCODER == family
            or (teacher == LIKELIHOOD and not self.arm.generates)
            or (teacher == TOGETHER and family not in _TAUGHT_TOGETHER)
        )
        return NOBODY if cannot else teacher

    def _given(self) -> dict[str, str]:
        given = {"prepare": "prepare"}
        if self.arm.generates:
            given |= {"filter": f"filter.{self._writes}"} | ({DECISIONS: DECISIONS} if self.decisions else {})
        return given

    def _training(self, family: str, inputs: Inputs, suffix: str = "") -> Step:
        seed = setting(self.configs, "train.seed")
        assert isinstance(seed, int)
        config = changed(self.configs["train"], seed=seed + self.number, family=family)
        # What makes no difference to a family is made equal, so that its trainings are known to be the same.
        if family in STARTS_RANDOM:
            config = changed(config, mixes="1.0")
        if family == CROSS_ENCODER:
            config = changed(
                config, negatives=max(setting({"train": config}, "train.negatives"), CROSS_ENCODER_NEGATIVES)
            )
        equal = self.equal if "filter" in inputs else ()
        name = f"train.{self._named(family)}{suffix}"
        return Step(name, "train", config, inputs, (self.arm.name,), family, self.variant, equal)

    def _measuring(self, family: str) -> Step:
        config = changed(self.configs["evaluate"], retriever=FAMILIES[family].retriever)
        name = self._named(family)
        inputs = {"prepare": "prepare", "train": f"train.{name}"}
        return Step(f"evaluate.{name}", "evaluate", config, inputs, (self.arm.name,), family, self.variant)

    def _step(self, name: str, stage: str, inputs: Inputs, family: str = "") -> Step:
        return Step(name, stage, self.configs[stage], inputs, (self.arm.name,), family, self.variant)

    @property
    def _writes(self) -> str:
        """The end of the ids of the steps that write the arm's queries."""
        return cell(self.arm.name, "", self.variant)

    @property
    def _tune(self) -> str:
        return cell("tune", "", self.variant)

    def _named(self, family: str, *, numbered: bool = True) -> str:
        """The end of a step's id: the cell, and the number of the training from the second on."""
        name = cell(self.arm.name, family, self.variant)
        return f"{name}.{self.number + 1}" if numbered and self.number else name


def writing(arm: Arm, configs: Mapping[str, StageConfig], variant: str = "") -> list[Step]:
    """The steps that choose a prompt, write queries with it and filter them."""
    prompt = {"prepare": "prepare"} | ({"tune": cell("tune", "", variant)} if arm.tunes else {})
    name = cell(arm.name, "", variant)
    inputs: dict[str, Inputs] = {
        "select": prompt,
        "generate": prompt | {"select": f"select.{name}"},
        "filter": {"prepare": "prepare", "generate": f"generate.{name}"},
    }
    return [
        Step(f"{stage}.{name}", stage, configs[stage], given, (arm.name,), variant=variant)
        for stage, given in inputs.items()
    ]


def fusing(
    arm: Arm, configs: Mapping[str, StageConfig], name: str, inputs: Inputs, variant: str = ""
) -> tuple[Step, Step]:
    """Put BM25 and the dense retriever of `inputs` together. `name` is the end of the steps' ids."""
    measuring = changed(configs["evaluate"], retriever=FAMILIES[HYBRID].retriever)
    fused = {**inputs, "fuse": f"fuse.{name}"}
    return (
        Step(f"fuse.{name}", "fuse", configs["fuse"], inputs, (arm.name,), HYBRID, variant),
        Step(f"evaluate.{name}", "evaluate", measuring, fused, (arm.name,), HYBRID, variant),
    )


def packaging(arm: Arm, family: str, configs: Mapping[str, StageConfig], families: Sequence[str]) -> Step:
    """Make the archive of an arm's first training of a family.

    A bi-encoder brings along how it is put together with BM25, where hybrids are among the `families` compared.
    """
    name = cell(arm.name, family)
    inputs = {"prepare": "prepare", "train": f"train.{name}", "evaluate": f"evaluate.{name}"}
    inputs |= ({"tune": "tune"} if arm.tunes else {}) | ({"filter": f"filter.{arm.name}"} if arm.generates else {})
    if family == BI_ENCODER and HYBRID in families:
        hybrid = cell(arm.name, HYBRID)
        inputs |= {"fuse": f"fuse.{hybrid}", "together": f"evaluate.{hybrid}"}
    named = changed(configs["package"], name=_folder(str(setting(configs, "package.name")), family))
    return Step(f"package.{name}", "package", named, inputs, (arm.name,), family)


def _folder(name: str, family: str) -> str:
    """The folder inside of the archive: two families that are unpacked in one place do not meet."""
    return name[: LONGEST_NAME - len(ending(family))] + ending(family)
