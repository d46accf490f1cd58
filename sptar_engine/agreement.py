"""Do the settings of a plan go together? Asked before anything runs, so that no comparison is void after hours."""

from __future__ import annotations

from collections.abc import Sequence

from sptar_engine.arms import BI_ENCODER, CROSS_ENCODER
from sptar_engine.configs import CROSS_ENCODER_NEGATIVES, Value
from sptar_engine.errors import ConfigError
from sptar_engine.steps import Step, setting

_MODELS = {"language_model": "--llm", "encoder": "--base"}
_SAME = {
    "max_length": ("train", "teach", "fuse", "evaluate"),
    "k1": ("train", "teach", "fuse", "evaluate"),
    "b": ("train", "teach", "fuse", "evaluate"),
    "rerank_depth": ("train", "teach", "evaluate"),
    "min_grade": ("prepare", "evaluate"),
    "dev_pool": ("train", "fuse"),
}
"""Options that several stages have and that must not differ between them; each is held against the last stage's."""


_READ_BY_BOTH_SIDES = 16  # documents that a teacher puts in order for a query: 512 of them in a batch of 32


def check_agreement(steps: Sequence[Step]) -> None:
    """Raise ConfigError, naming the option, for settings of a plan that do not go together."""
    _check_models(steps)
    for option, stages in _SAME.items():
        _check_same(steps, option, stages)
    by_id = {step.step_id: step for step in steps}
    for step in steps:
        if step.stage == "mine":
            _check_mining(step)
        elif step.stage == "train" and "mine" in step.inputs:
            _check_negatives(step, by_id[step.inputs["mine"]])
        if step.stage == "train" and "teach" in step.inputs:
            _check_lesson(step, by_id[step.inputs["teach"]])


def _check_models(steps: Sequence[Step]) -> None:
    """Every arm has the same base and every prompt the same language model, or the comparison means nothing."""
    for kind, switch in _MODELS.items():
        names = {
            str(getattr(step.config, field))
            for step in steps
            for field, spec in type(step.config).__dataclass_fields__.items()
            if spec.metadata.get("model") == kind and field not in step.config.idle
        }
        if len(names) > 1:
            raise ConfigError(switch, f"one model for all stages, not {' and '.join(sorted(names))}; use {switch} NAME")


def _check_same(steps: Sequence[Step], option: str, stages: Sequence[str]) -> None:
    values: dict[str, set[Value]] = {}
    for step in steps:
        is_held = option not in step.config.idle and not (option == "max_length" and _is_of_a_language_model(step))
        if step.stage in stages and is_held:
            values.setdefault(step.stage, set()).add(getattr(step.config, option))
    held = [stage for stage in stages if stage in values]
    for stage in held[:-1]:
        if values[stage] != values[held[-1]]:
            raise ConfigError(
                f"{stage}.{option}",
                f"must be the same as {held[-1]}.{option}, or what is chosen is not what is measured; set both",
            )


def _is_of_a_language_model(step: Step) -> bool:
    """A language model that teaches reads documents as it does when it writes, not as a retriever does."""
    return getattr(step.config, "teacher", "") == "likelihood"


def _check_mining(step: Step) -> None:
    skip, depth = (getattr(step.config, name) for name in ("skip", "depth"))
    if skip >= depth:
        raise ConfigError("mine.skip", f"{skip} passes over all of the {depth} hits that mine.depth looks at")


def _check_lesson(step: Step, teach: Step) -> None:
    """Both sides of a bi-encoder read what is taught: a hundred documents for each query are no batch any more."""
    teacher, hits = (getattr(teach.config, name) for name in ("teacher", "hits"))
    both = step.family == BI_ENCODER and setting({"train": step.config}, "train.towers") == "both"
    if both and teacher == "hybrid" and hits > _READ_BY_BOTH_SIDES:
        raise ConfigError(
            "teach.hits",
            f"{hits} documents for each query are too many to be read in every step by both sides of a bi-encoder; at "
            f"most {_READ_BY_BOTH_SIDES} are allowed with train.towers=both",
        )


def _check_negatives(step: Step, mine: Step) -> None:
    count, negatives = (getattr(config, name) for config, name in ((mine.config, "count"), (step.config, "negatives")))
    wanted = max(negatives, CROSS_ENCODER_NEGATIVES if step.family == CROSS_ENCODER else 0)
    if wanted > count:
        raise ConfigError(
            "mine.count", f"{count} hard negatives per query are fewer than the {wanted} that the training takes"
        )
