"""An errand that counts: one event for each step, each in a transaction of its own, none twice."""

from __future__ import annotations

import time
from typing import Any

from sptar_engine.errors import InputError
from webapp.jobs.attempt import Attempt
from webapp.models import Errand, Event
from webapp.services import events


def run(errand: Errand, attempt: Attempt) -> dict[str, Any]:
    steps = int(errand.arguments["steps"])
    if steps < 0:
        raise InputError(f"{steps} steps: give 0 or more.")
    done = Event.objects.filter(verb="errand.stepped").count()
    for step in range(done, steps):
        with attempt.transaction():
            events.record("errand.stepped", project=None, actor=None, step=step)
        attempt.tick(step + 1, steps, "counting")
        time.sleep(float(errand.arguments.get("pace", 0)))
    return {"steps": steps}
