"""The sample project's experiment in the terminal: a line when a step changes, one now and then while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.db import InterfaceError, OperationalError, connection
from rich.console import Console
from rich.table import Table

from webapp.models import Errand, Experiment, Project, StageRun, State
from webapp.services import sample

_LINE_EVERY = 15.0  # seconds between two lines of the same step


class SampleView:
    """Call `look` about once a second; it says what is new."""

    def __init__(self, project: Project, say: Callable[[str], None]) -> None:
        self._project = project
        self._say = say
        self._followed: int | None = None  # by its key: somebody may start another one in the meantime
        self._states: dict[int, str] = {}
        self._last_line = 0.0
        self._message = ""
        self._finished = False

    def look(self) -> None:
        """Read the rows and tell about changes. A database that is away is asked again the next time."""
        if self._finished:
            return
        try:
            experiment = self._experiment()
            if experiment is None:
                self._tell_errand(Errand.objects.filter(project=self._project).order_by("-pk").first())
            else:
                self._tell_stages(experiment)
        except (OperationalError, InterfaceError):
            return
        finally:
            connection.close()

    def _experiment(self) -> Experiment | None:
        """The newest at the first look that finds one, and that one from then on; gone, it is over."""
        if self._followed is None:
            newest = sample.newest_experiment(self._project)
            self._followed = newest and newest.pk
            return newest
        followed = Experiment.objects.filter(pk=self._followed).first()
        self._finished = followed is None
        return followed

    def _tell_errand(self, errand: Errand | None) -> None:
        message = "" if errand is None else errand.error or errand.message
        if message and message != self._message:
            self._message = message
            self._say(f"Sample project: {message}")

    def _tell_stages(self, experiment: Experiment) -> None:
        stages = list(experiment.stages.defer("config", "inputs", "traceback").order_by("position"))
        for stage in stages:
            changed = stage.state != self._states.get(stage.pk) and stage.state not in (State.WAITING, State.QUEUED)
            still_runs = stage.state == State.RUNNING and time.monotonic() - self._last_line > _LINE_EVERY
            if changed or still_runs:
                self._say(_line(stage, len(stages)))
                self._last_line = time.monotonic()
            self._states[stage.pk] = stage.state
        if State(experiment.state).is_over:
            self._finished = True
            self._say(_ending(experiment))


def _line(stage: StageRun, total: int) -> str:
    head = f"[{stage.position + 1}/{total}] {stage.step_id}"
    if stage.state == State.RUNNING:
        part = f" {stage.done}/{stage.total}" if stage.total else ""
        return f"{head}: running{part} {stage.message}".rstrip()
    if stage.state == State.DONE:
        return f"{head}: " + ("done before" if stage.reused else f"done in {stage.seconds or 0:.0f} s")
    return f"{head}: {State(stage.state).label.lower()}. {stage.error}".rstrip()


def _ending(experiment: Experiment) -> str:
    """The arms with nDCG@10 (sptar_engine.workspace.compare), or why there are none."""
    arms = experiment.comparison.get("arms", {})
    if experiment.state != State.DONE or not arms:
        words = {State.FAILED: "has failed", State.CANCELLED: "was stopped"}.get(
            State(experiment.state), "has no result"
        )
        return f"The sample experiment {words}; its page says why."
    table = Table()
    for name in ("arm", "nDCG@10", "95 % interval"):
        table.add_column(name, no_wrap=True)
    for arm, row in arms.items():
        first = row["nDCG@10"]
        table.add_row(arm, f"{first['mean']:.3f}", f"{first['low']:.3f} to {first['high']:.3f}")
    console = Console(width=100, highlight=False)
    with console.capture() as captured:
        console.print(table)
    return (
        "The sample experiment is done. How good the first ten results are, on the test queries:\n"
        f"{captured.get()}Everything keeps running until Ctrl-C."
    )
