"""The only functions that a worker runs (webapp.jobs.job_class). Both start a fresh process and wait for it."""

from __future__ import annotations

from webapp.jobs.children import supervise
from webapp.models import Errand, StageRun


def run_stage(stage_run_id: int, attempt: int) -> None:
    """Do a step of an experiment, `manage.py run_stage`."""
    supervise(StageRun, stage_run_id, attempt)


def run_errand(errand_id: int, attempt: int) -> None:
    """Do an errand, `manage.py run_errand`."""
    supervise(Errand, errand_id, attempt)
