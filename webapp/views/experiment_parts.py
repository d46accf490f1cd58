"""The live parts of an experiment's page. Each has its own address and is asked for only while it can change.

A part carries the hash of what it shows; asked with the same hash, it answers 204 and the page stays as it is. So
opened details stay open and screen readers hear nothing. The part `progress` is asked for as long as anything may
happen, and tells the others, by the event `stages-changed`, when a stage has begun or ended.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.views.decorators.http import require_GET

from sptar_engine.arms import BI_ENCODER
from webapp.access import project_view
from webapp.models import Experiment, Project, Role, StageRun, State
from webapp.selectors import (
    candidates,
    comparisons,
    curves,
    experiments,
    grid,
    logs,
    measured,
    questions,
    queues,
    step_graph,
)
from webapp.selectors.artifacts import value_of
from webapp.selectors.words import family_name

Build = Callable[[Experiment, Sequence[StageRun]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the page: its stages (none: all of them), its template and what that needs."""

    template: str
    build: Build
    stages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fragment:
    """A part as it is now. `pace` is live (asked for every 2 seconds), waiting (asked for on an event) or over."""

    name: str
    pace: str
    body: SafeString
    seen: str
    states: str


def _progress(experiment: Experiment, stages: Sequence[StageRun]) -> dict[str, Any]:
    standing = experiments.standing_of(experiment, stages)
    waits = queues.wait_of(standing.queued) if standing.queued else None
    return {"standing": standing, "rows": step_graph.graph_of(stages), "waits": waits}


def _tune(experiment: Experiment, stages: Sequence[StageRun]) -> dict[str, Any]:
    tune = next((stage for stage in stages if stage.stage == "tune"), None)
    return {
        "stage": tune,
        "has_begun": tune is not None and tune.state not in (State.WAITING, State.QUEUED),
        "curve": curves.tuning(tune) if tune else None,
        "candidates": candidates.tried(experiment, stages),
    }


def _questions(experiment: Experiment, stages: Sequence[StageRun]) -> dict[str, Any]:
    return {
        "is_planned": any(stage.stage == "generate" for stage in stages),
        "written": questions.written(experiment, stages),
    }


def _train(experiment: Experiment, stages: Sequence[StageRun]) -> dict[str, Any]:
    return {
        "is_planned": any(stage.stage == "train" for stage in stages),
        "training": curves.training(stages),
    }


def _compare(experiment: Experiment, stages: Sequence[StageRun]) -> dict[str, Any]:
    packages = [stage for stage in stages if stage.stage == "package"]
    version = measured.newest(experiment)
    return {
        "table": comparisons.table_of(experiment, version.comparison), "version": version,
        "grid": grid.grid_of(experiment, version.comparison), "is_packing": bool(packages),
        "downloads": [
            (stage.family or BI_ENCODER, family_name(stage.family or BI_ENCODER), listing)
            for stage in packages
            if (listing := value_of(experiment.project, stage, "package.json"))
        ],
    }  # fmt: skip


def _log(experiment: Experiment, stages: Sequence[StageRun]) -> dict[str, Any]:
    return {"lines": experiments.log_of(stages), "tail": logs.tail_of(stages)}


PARTS: dict[str, Part] = {
    "progress": Part("experiments/_progress.html", _progress),
    "tune": Part("experiments/_tune.html", _tune, ("tune", "select")),
    "questions": Part("experiments/_questions.html", _questions, ("generate", "filter")),
    "train": Part("experiments/_train.html", _train, ("mine", "teach", "train", "fuse")),
    "compare": Part("experiments/_compare.html", _compare, ("evaluate", "package")),
    "log": Part("experiments/_log.html", _log),
}


def fragments_of(request: HttpRequest, experiment: Experiment, stages: Sequence[StageRun]) -> dict[str, Fragment]:
    """All parts by name, for the whole page."""
    return {name: _fragment(request, name, experiment, stages) for name in PARTS}


@project_view(Role.VIEWER)
@require_GET
def part(request: HttpRequest, project: Project, number: int, name: str) -> HttpResponse:
    """One part; 204 when the page shows it as it is (`seen`)."""
    if name not in PARTS:
        raise Http404("There is no such part.")
    experiment = get_object_or_404(project.experiments, number=number)
    experiment.project = project
    stages = experiments.stages_of(experiment)
    fragment = _fragment(request, name, experiment, stages)
    if request.GET.get("seen") == fragment.seen:
        return HttpResponse(status=204)
    response = render(request, "experiments/_part.html", {"experiment": experiment, "fragment": fragment})
    if name == "progress" and (news := _news(request, experiment, fragment)):
        response["HX-Trigger"] = json.dumps(news)
    return response


def _fragment(request: HttpRequest, name: str, experiment: Experiment, stages: Sequence[StageRun]) -> Fragment:
    spec = PARTS[name]
    context = {"experiment": experiment, "project": experiment.project, **spec.build(experiment, stages)}
    body = render_to_string(spec.template, context, request=request)
    pace = _pace(spec, experiment, stages)
    states = _hash(",".join(f"{stage.pk}{stage.state}" for stage in stages))
    return Fragment(name, pace, body, _hash(f"{pace} {body}"), states)


def _pace(spec: Part, experiment: Experiment, stages: Sequence[StageRun]) -> str:
    if not experiments.is_open(experiment, stages):
        return "over"
    states = {stage.state for stage in stages if not spec.stages or stage.stage in spec.stages}
    if not spec.stages or states & {State.RUNNING, State.QUEUED}:
        return "live"
    return "waiting" if State.WAITING in states else "over"


def _news(request: HttpRequest, experiment: Experiment, fragment: Fragment) -> dict[str, str]:
    """Events for the page: other parts are out of date, or everything is over and the announcer says so."""
    news = {"stages-changed": ""} if request.GET.get("states") != fragment.states else {}
    if fragment.pace == "over":
        words = {State.DONE: "is done", State.FAILED: "failed", State.CANCELLED: "was stopped"}
        news["sptar:finished"] = f"{experiment} {words.get(State(experiment.state), 'is over')}."
    return news


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]
