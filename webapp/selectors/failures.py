"""A failed stage for the page: what happened, what to do, and a report to hand on."""

from __future__ import annotations

import json
from dataclasses import dataclass

from webapp.models import StageRun
from webapp.selectors.words import stage_title

_ADVICE = (
    ("memory", "Close other programs and try again, or choose a smaller model or smaller batches (advanced options)."),
    ("disk is full", "Free some space on the disk of this machine, then try again: what is finished is used again."),
    ("java", "The keyword search needs Java 21. The person who runs this machine installs it."),
    ("timed out", "Try again to go on from where it stopped, or choose a smaller preset."),
    ("not on this machine", "Choose another model, or ask the person who runs this machine to add this one."),
    ("queries", "Add examples or documents on their pages, then start a new experiment."),
    ("learning_rate", "Start a new experiment with the option that the sentence names set lower."),
    ("no longer on the disk", "Start the experiment anew: what is still there is used again."),
)
_OTHERWISE = "Try again. If it fails once more, give the report below to the person who runs this machine."


@dataclass(frozen=True, slots=True)
class Failure:
    """What the error card shows."""

    pk: int
    title: str
    error: str
    advice: str
    report: str


def failure_of(stage: StageRun) -> Failure:
    """Of a stage in the state failed."""
    return Failure(stage.pk, stage_title(stage), stage.error, advice_for(stage.error), _report(stage))


def advice_for(error: str) -> str:
    """What a person can do about an error, by the words of its sentence."""
    said = error.lower()
    return next((advice for words, advice in _ADVICE if words in said), _OTHERWISE)


def _report(stage: StageRun) -> str:
    """Everything that helps to find the cause, without the texts of documents or questions."""
    facts = {
        "experiment": stage.experiment.number, "step": stage.step_id, "attempt": stage.attempt,
        "crashes": stage.crashes, "progress": f"{stage.done} of {stage.total}", "machine": stage.experiment.machine,
        "started": str(stage.started_at), "finished": str(stage.finished_at), "settings": stage.config,
    }  # fmt: skip
    lines = [f"{name}: {value if isinstance(value, str) else json.dumps(value)}" for name, value in facts.items()]
    return "\n".join([*lines, f"error: {stage.error}", "", stage.traceback or "no traceback"])
