"""Whether what is asked for fits the data and the base model: said before the start, not by a step that failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sptar_engine.catalog import encoder_folder
from sptar_engine.configs import TrainConfig
from sptar_engine.errors import ConfigError, SptarError
from sptar_engine.fit import check_base, check_fit
from sptar_engine.steps import Step
from webapp.places import models_folder
from webapp.selectors.words import stage_name

_ENOUGH = 1 << 31  # documents without a training label, as long as nobody has counted them


def misfit(steps: Sequence[Step], counts: Mapping[str, int]) -> str:
    """Why the steps cannot work with these documents and examples, as a sentence; empty when they can."""
    try:
        _warnings(steps, counts)
        for base in sorted({step.config.base for step in steps if isinstance(step.config, TrainConfig)}):
            check_base(steps, encoder_folder(base, models_folder()))
    except ConfigError as error:
        stage, _, option = error.option.partition(".")
        return f"{stage_name(stage)}, {option.replace('_', ' ')}: {error.reason}."
    except SptarError as error:
        return str(error)
    return ""


def warnings_of(steps: Sequence[Step], counts: Mapping[str, int]) -> tuple[str, ...]:
    """What works, but not as one might think: a sentence each."""
    try:
        return _warnings(steps, counts)
    except SptarError:
        return ()  # `misfit` says so


def _warnings(steps: Sequence[Step], counts: Mapping[str, int]) -> tuple[str, ...]:
    pool = counts.get("pool", _ENOUGH)
    return check_fit(
        steps, {"documents": counts.get("documents", 0), "train_queries": counts.get("train", 0), "pool": pool}
    )
