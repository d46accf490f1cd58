"""The only place that starts engine work: one attempt at a step of an experiment, or at an errand.

Both end by saying in their row what became of them. A process that ends without doing so has crashed, and its worker
(webapp.jobs.children) or reconcile queues the next attempt.
"""

from __future__ import annotations

import importlib
import logging
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from django.db import InterfaceError, OperationalError

from sptar_engine.configs import StageConfig
from sptar_engine.disk import is_full_disk
from sptar_engine.errors import Cancelled, SptarError, StageError, StaleAttempt
from sptar_engine.experiment import settled
from sptar_engine.pipeline import StageResult, Store, run_stage
from sptar_engine.stage import Progress
from sptar_engine.steps import DATASET, DECISIONS
from webapp import places
from webapp.jobs import leases, questions
from webapp.jobs.attempt import Attempt, Stop
from webapp.jobs.comparison import compare, one_at_a_time, step_of
from webapp.jobs.curves import Curve
from webapp.jobs.kept_results import result_of_base
from webapp.jobs.machine import settle_machine
from webapp.jobs.poison import Quarantine, explain
from webapp.jobs.result_names import result_folder
from webapp.jobs.storing import storable
from webapp.models import Errand, Experiment, Project, StageRun, State
from webapp.sentences import without_paths
from webapp.services import model_indexes, stages

_log = logging.getLogger(__name__)


def run_stage_run(pk: int, number: int) -> None:
    """Do attempt `number` at a step; nothing when the row does not wait for it."""
    attempt = Attempt.claim(StageRun, pk, number)
    if attempt is None:
        _log.info("Step %s, attempt %s is already running, over or called off.", pk, number)
        return
    experiment: Experiment = attempt.row.experiment
    stages.settle(experiment)
    try:
        with attempt.guarded():
            _carry_out(attempt, lambda: _StageWork(attempt).run())
    finally:
        stages.queue_ready(experiment)
        stages.settle(experiment)


def run_errand(pk: int, number: int, kinds: Mapping[str, str]) -> None:
    """Do attempt `number` at an errand; `kinds` maps its kind to the module whose `run` does it."""
    attempt = Attempt.claim(Errand, pk, number)
    if attempt is None:
        _log.info("Errand %s, attempt %s is already running, over or called off.", pk, number)
        return

    def work() -> None:
        run = importlib.import_module(kinds[attempt.row.kind]).run
        metrics = run(attempt.row, attempt)
        attempt.flush()
        with attempt.transaction():
            leases.finish(attempt.row, metrics=storable(dict(metrics)))

    with attempt.guarded():
        _carry_out(attempt, work)


def _carry_out(attempt: Attempt, work: Callable[[], None]) -> None:
    """Do the work and say in the row how it ended, if it did not say so itself."""
    try:
        work()
    except StaleAttempt as error:
        _log.info("%s", error)
    except Cancelled:
        if attempt.stop is Stop.SHUTDOWN:
            leases.release(attempt.row)
        else:
            leases.cancel(attempt.row)
    except SptarError as error:
        leases.fail(attempt.row, storable(without_paths(str(error))), _trace())
    except (OperationalError, InterfaceError):
        raise  # the database was away: the attempt ends as a crash does, and the next one goes on
    except Exception as error:
        leases.fail(attempt.row, _in_plain_words(error), _trace())
        raise


class _StageWork:
    """One attempt at a step: from the row to the engine, and from its reports and its result back to rows."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._row: StageRun = attempt.row
        self._experiment: Experiment = self._row.experiment
        self._project: Project = self._experiment.project
        self._store = Store(root=places.store_folder(self._project), models=places.models_folder())
        self._curve = Curve(self._row)
        self._questions: questions.Questions | None = None
        attempt.before_write = self._write_along

    def run(self) -> None:
        """Do the step and everything that its result changes."""
        device = settle_machine(self._attempt)
        config = settled(step_of(self._row), self._kept())
        inputs = self._inputs()
        if self._row.stage == "generate":
            inputs = Quarantine(self._attempt, config, inputs, self._store, device).inputs()
        if (kept := result_of_base(self._row, inputs, self._store)) is not None:
            self._conclude(kept)
            return
        name = result_folder(config, inputs, self._store).name
        self._take_turn(name)
        if self._row.stage == "generate":
            self._questions = questions.Questions(self._attempt, self._project, self._store.root / "stages", name)
        result = self._engine(config, inputs, device)
        self._attempt.check()
        self._conclude(result)

    def _engine(self, config: StageConfig, inputs: Mapping[str, Path], device: str) -> StageResult:
        try:
            return run_stage(
                config, inputs, self._store, device=device, report=self._report,
                should_stop=self._attempt.should_stop, fence=self._attempt.owns,
            )  # fmt: skip
        except StaleAttempt:
            if not self._attempt.owns():
                raise
            # Somebody else, the command line say, finished the same work meanwhile: its result is there to take.
            return run_stage(config, inputs, self._store, device=device, report=self._report)

    def _inputs(self) -> dict[str, Path]:
        folders = dict(self._experiment.stages.filter(state=State.DONE).values_list("step_id", "folder"))
        return {role: self._place(source, folders) for role, source in self._row.inputs.items()}

    def _kept(self) -> dict[str, int]:
        """How many questions each filter kept whose number limits this step."""
        rows = self._experiment.stages.filter(step_id__in=self._row.equal)
        return {step_id: int(metrics["kept"]) for step_id, metrics in rows.values_list("step_id", "metrics")}

    def _place(self, source: str, folders: Mapping[str, str]) -> Path:
        if source == DATASET:
            return places.snapshot_folder(self._project, self._experiment.dataset)
        if source == DECISIONS:
            return self._decisions()
        folder = self._store.root / "stages" / folders[source]
        if not folder.is_dir():
            raise StageError(
                f"The result of the step {source} is no longer on the disk, and this step reads it. "
                "Start the experiment anew: what is still there is used again."
            )
        return folder

    def _decisions(self) -> Path:
        path = places.decisions_file(self._project, self._experiment.decisions)
        if not path.is_file():
            raise StageError(
                "The verdicts that this experiment was started with are no longer on the disk. Start another one with "
                "the verdicts as they are now."
            )
        return path

    def _take_turn(self, name: str) -> None:
        """Wait while another experiment of the project does this very work; its result then serves both.

        The engine gives a folder that is being worked on to whoever comes last, since that one holds the lease; two
        rows with a lease each must not meet there.
        """
        same = StageRun.objects.filter(experiment__project=self._project, folder=name, state=State.RUNNING)
        while True:
            with self._attempt.transaction():
                Project.objects.select_for_update(no_key=True).get(pk=self._project.pk)
                if not same.exclude(pk=self._row.pk).exists():
                    StageRun.objects.filter(pk=self._row.pk).update(folder=name)
                    return
            self._attempt.tick(0, 0, "another experiment is doing the same work; its result will serve both")
            time.sleep(1)

    def _report(self, progress: Progress) -> None:
        self._curve.add(progress.done, progress.metrics)
        self._attempt.tick(progress.done, progress.total, progress.message, **progress.metrics)

    def _write_along(self) -> None:
        self._curve.flush()
        if self._questions is not None:
            self._questions.collect()

    def _conclude(self, result: StageResult) -> None:
        """Bring the rows into line with the result. All of it may be done again after a crash."""
        self._attempt.flush()
        if self._questions is not None:
            self._questions.complete(result.folder)
        if self._row.stage == "filter":
            batch = self._experiment.stages.get(step_id=self._row.inputs["generate"]).folder
            questions.mark_ranks(self._attempt, self._row, batch, result.folder)
        with one_at_a_time(self._experiment):
            comparison = compare(self._row, result)
            with self._attempt.transaction():
                self._curve.replace(result.folder)
                Experiment.objects.filter(pk=self._experiment.pk).update(comparison=comparison)
                leases.finish(
                    self._row, metrics=self._metrics(result), folder=result.folder.name,
                    digest=result.digest, seconds=result.seconds, reused=result.reused, peak_mib=result.peak_mib,
                )  # fmt: skip
                if self._row.stage == "package":
                    model_indexes.prepare_packed(experiment=self._experiment, arm=self._row.cell)

    def _metrics(self, result: StageResult) -> dict[str, Any]:
        metrics: dict[str, Any] = storable(dict(result.metrics))
        if self._row.aside:
            metrics["set_aside"] = self._row.aside
            metrics["sentence"] = f"{metrics.get('sentence', '')}{explain(self._row.aside)}".strip()
        return metrics


def _trace() -> str:
    return str(storable(traceback.format_exc()))


def _in_plain_words(error: Exception) -> str:
    if is_full_disk(error):
        return "The disk is full. What was finished stays; free some space and try again."
    if isinstance(error, MemoryError):
        return "There was not enough memory. What was finished stays; try a smaller model or smaller batches."
    return (
        "Something went wrong that we did not foresee. Try again; if it happens once more, tell the person who runs "
        "this machine: the technical report of this step says what it was."
    )
