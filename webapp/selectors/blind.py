"""Two lists of documents without the names of the searches behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from webapp.models import Preference, Project
from webapp.selectors.playground import SHOWN, Hit, plain_hits
from webapp.selectors.playground_searches import AFTER, BEFORE, BM25, Outcome, search, searches_of
from webapp.selectors.trained_models import NotTrainedError, TrainedModel, find_model

NAMES = {"base": "the untrained model", "bm25": "keyword search"}
"""What the search against the trained model is called, by Preference.before."""


@dataclass(frozen=True, slots=True)
class Side:
    """One list. `name` and `is_chosen` are only set once the person has chosen."""

    side: str
    hits: list[Hit]
    name: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Pair:
    """The lists, left and right, or why they cannot be shown."""

    sides: list[Side]
    problem: str


def lists_of(project: Project, model: TrainedModel, against: str, text: str) -> Mapping[str, Outcome]:
    """The trained model's search and the one it stands against."""
    wanted = searches_of(model)
    other = BM25 if against == "bm25" else BEFORE
    found = search(project, text, {"other": wanted[other], AFTER: wanted[AFTER]})
    return {"other": found["other"], AFTER: found[AFTER]}


def why_not(lists: Mapping[str, Outcome]) -> str:
    """Why there is nothing to choose between, as a sentence; empty when there is."""
    for outcome in lists.values():
        if outcome.state != "ready":
            return f"The two lists cannot be compared now. {outcome.problem or 'A search is not ready.'}"
    one, other = (list(outcome.ranking[:SHOWN]) for outcome in lists.values())
    if not one and not other:
        return "Neither search finds anything for this question, so there is nothing to choose."
    if one == other:
        return "Both searches find the same documents in the same order for this question: there is nothing to choose."
    return ""


def pair_of(preference: Preference) -> Pair:
    """The lists as this comparison has them left and right."""
    project = preference.project
    try:
        model = find_model(preference.experiment, preference.arm)
    except NotTrainedError as error:
        return Pair([], str(error))
    lists = lists_of(project, model, preference.before, preference.text)
    if problem := next((one.problem or "A search is not ready." for one in lists.values() if one.state != "ready"), ""):
        return Pair([], problem)
    order = (AFTER, "other") if preference.after_left else ("other", AFTER)
    return Pair(
        [
            Side(
                side, plain_hits(project, lists[key].ranking, preference.text),
                name=_name(preference, key) if preference.choice else "",
                is_chosen=preference.choice == ("after" if key == AFTER else "before"),
            )
            for side, key in zip(("left", "right"), order, strict=True)
        ],
        "",
    )  # fmt: skip


def _name(preference: Preference, key: str) -> str:
    return "the trained model" if key == AFTER else NAMES.get(preference.before, preference.before)
