"""The stepper: the eight steps of a project, where each stands, and why."""

from __future__ import annotations

from dataclasses import dataclass

from webapp.models import Project


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `state` is waiting, ready, running, done, attention or outdated; `label` says it in words."""

    key: str
    name: str
    state: str
    label: str
    why: str
    url: str


def steps_of(project: Project) -> list[Step]:
    """The steps in their order."""
    return []
