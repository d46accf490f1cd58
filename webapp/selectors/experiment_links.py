"""Where one can go from an experiment, and why not yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.urls import reverse
from django.utils.http import urlencode

from sptar_engine.arms import ARMS, read_cell
from webapp.cells import in_order
from webapp.models import Experiment, StageRun, State
from webapp.selectors.words import is_teacher, turn_of


@dataclass(frozen=True, slots=True)
class Link:
    """A page about an experiment. Without a `url` it waits, and `why` says for what."""

    name: str
    icon: str
    url: str
    why: str = ""


def links_of(experiment: Experiment, stages: Sequence[StageRun]) -> list[Link]:
    """The pages in the order of the work."""
    done = {(stage.stage, arm) for stage in stages if stage.state == State.DONE for arm in stage.arms}
    slug, number = experiment.project.slug, experiment.number
    written = _last_arm("generate", done)
    filtered = _last_arm("filter", done)
    trained = _usual_cell(stages)
    return [
        _link("Review", "card-checklist", "review_batch", [slug, number, written], written, "no questions yet"),
        _link("Filter", "filter", "filter", [slug, number, filtered], filtered, "not filtered yet"),
        _link("Compare", "bar-chart-line", "experiment_compare", [slug, number], experiment.comparison, "not measured"),
        _link("Playground", "search", "playground", [slug], trained, "nothing trained yet",
              f"?{urlencode({'run': number, 'arm': trained})}"),
        _link("Download", "download", "download", [slug], True, "", f"?experiment={number}"),
        _link("Learning curve", "activity", "learning_curve", [slug, experiment.series], True, "")
        if experiment.series
        else _link("Learning curves", "activity", "learning_curves", [slug], trained, "nothing trained yet"),
    ]  # fmt: skip


def _link(name: str, icon: str, route: str, args: list[str | int], is_ready: object, why: str, query: str = "") -> Link:
    return Link(name, icon, reverse(route, args=args) + query) if is_ready else Link(name, icon, "", why)


def _usual_cell(stages: Sequence[StageRun]) -> str:
    """The trained search model of the arm that is downloaded, its bi-encoder first; empty when none is trained.

    What only teaches others, and an arm at equal numbers, is not what anybody comes for.
    """
    trained = in_order(
        stage.cell
        for stage in stages
        if stage.stage == "train" and stage.state == State.DONE and not (stage.variant or turn_of(stage))
        if not is_teacher(stage)
    )
    return next((name for name in trained if read_cell(name).arm == read_cell(trained[-1]).arm), "")


def _last_arm(stage: str, done: set[tuple[str, str]]) -> str:
    """The arm that is downloaded, where it has the stage; empty when none has."""
    return next((arm for arm in reversed(ARMS) if (stage, arm) in done), "")
