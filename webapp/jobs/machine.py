"""What the machine decides for an experiment: device, number format, threads. Decided once, then kept.

A resumed stage is byte-equal only with the same choices (DESIGN section 4), so they stand in the experiment's row.
"""

from __future__ import annotations

from typing import Any

from sptar_engine import catalog
from sptar_engine.configs import CONFIGS
from sptar_engine.course import LIKELIHOOD
from sptar_engine.errors import StageError
from webapp import places
from webapp.jobs.attempt import Attempt
from webapp.models import Experiment, StageRun

CPU = "cpu"
_FIELDS = ("dtype", "threads")


def settle_machine(attempt: Attempt) -> str:
    """Fill in the step's dtype and threads, unless a person set them, and return the device it runs on.

    Raises StageError when the experiment was begun on a GPU and this machine has none.
    """
    row: StageRun = attempt.row
    wanted = [name for name in _FIELDS if name in CONFIGS[row.stage].__dataclass_fields__]
    if not wanted:
        return CPU
    experiment = row.experiment
    if not experiment.machine:
        _decide(attempt, experiment)
    elif experiment.machine["device"] != CPU:
        _check_gpu()
    asked = experiment.settings.get(row.stage, {})
    row.config |= {name: experiment.machine[name] for name in wanted if name not in asked}
    with attempt.transaction():
        StageRun.objects.filter(pk=row.pk).update(config=row.config)
    return str(experiment.machine["device"])


def _decide(attempt: Attempt, experiment: Experiment) -> None:
    from sptar_engine import runtime  # loads torch

    attempt.tick(0, 0, "measuring what is fastest on this machine")
    name = _language_model(experiment)
    decided = runtime.decide(catalog.language_model_folder(name, places.models_folder()) if name else None)
    with attempt.transaction():
        # Two steps may begin at once on two workers: the first answer counts for both.
        Experiment.objects.filter(pk=experiment.pk, machine={}).update(machine=decided.as_dict())
    experiment.refresh_from_db(fields=["machine"])


def _language_model(experiment: Experiment) -> str | None:
    configs: list[dict[str, Any]] = list(experiment.stages.order_by("position").values_list("config", flat=True))
    # Of the teachers only the language model itself needs one.
    used = (config for config in configs if config.get("teacher", LIKELIHOOD) == LIKELIHOOD)
    return next((str(config["model"]) for config in used if "model" in config), None)


def _check_gpu() -> None:
    from sptar_engine import runtime  # loads torch

    if runtime.pick_device() == CPU:
        raise StageError(
            "The experiment was begun on a GPU and this machine has none that works. Start a worker on the machine "
            "with the GPU, or start the experiment anew."
        )
