"""The table of arms and families: how good each cell is, which family was best on held-out data, what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sptar_engine.arms import ARMS, BI_ENCODER, BM25, FAMILIES, ZERO_SHOT, cell, read_cell
from sptar_engine.evaluation.baselines import has_learned
from webapp.cells import VARIANTS, in_order, is_trained
from webapp.models import Experiment
from webapp.selectors.comparisons import MAIN, cells_of, chosen_families, chosen_of, untrained_of
from webapp.selectors.verdicts import Value, Verdict, verdict_of
from webapp.selectors.words import arm_name, family_name, short_name, variant_name

_OTHERS = ("seeds_only", "inpars", "promptagator")
"""Arms that the ones with generated questions stand against, each in its own family."""


@dataclass(frozen=True, slots=True)
class Place:
    """A cell. `state` is measured, missing (asked for and not there) or none (there is no such search)."""

    name: str
    family: str
    state: str
    value: Value | None = None
    verdict: Verdict | None = None
    """Against the untrained search of its kind."""
    held_out: float | None = None
    """nDCG@10 on the held-out examples, by which the family is chosen."""
    is_chosen: bool = False
    seeds: str = ""
    """Mean and spread of repeated trainings, in words."""


@dataclass(frozen=True, slots=True)
class Line:
    """The cells of an arm, a place for each family; keyword search has one place for all."""

    name: str
    places: list[Place]
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Duel:
    """A way of training against another one with the same kind of search model; `family` names it."""

    ours: str
    theirs: str
    family: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Grid:
    """The whole table. `chosen` says in a sentence for each arm which family was best on the held-out examples."""

    families: list[str]
    lines: list[Line]
    chosen: list[str]
    missing: list[str]

    @property
    def has_choice(self) -> bool:
        """Whether families were compared on the held-out examples, and one of them was best."""
        return any(place.is_chosen for line in self.lines for place in line.places)


def grid_of(experiment: Experiment, comparison: Mapping[str, Any]) -> Grid | None:
    """The table of an experiment with several families; None with the bi-encoder alone, whose list says it all."""
    if list(experiment.families) == [BI_ENCODER] or not comparison.get("arms"):
        return None
    asked = cells_of(experiment)
    families = [name for name in FAMILIES if name in experiment.families or cell(ZERO_SHOT, name) in asked]
    return Grid(
        families=[family_name(family) for family in families],
        lines=[_line(*row, families, asked, comparison) for row in _rows(asked)],
        chosen=[words for arm in experiment.arms if (words := _chosen(arm, comparison))],
        missing=[arm_name(name) for name in asked if name not in comparison["arms"]],
    )


def duels_of(experiment: Experiment, comparison: Mapping[str, Any]) -> list[Duel]:
    """Ways of training that write questions against those before them, by kind of search model and at equal numbers."""
    arms: Mapping[str, Any] = comparison.get("arms", {})
    found = []
    for name in in_order(name for name in cells_of(experiment) if name in arms and is_trained(name)):
        one = read_cell(name)
        kind = ", ".join(words for words in (family_name(one.family), variant_name(one.variant)) if words)
        for other in _OTHERS:
            theirs = cell(other, one.family, one.variant)
            if ARMS[one.arm].generates and _stands_before(other, one.arm) and theirs in arms[name]["versus"]:
                verdict = verdict_of(arm_name(theirs), arms[name]["versus"][theirs])
                found.append(Duel(short_name(one.arm), short_name(other), kind, verdict))
    return found


def _stands_before(arm: str, other: str) -> bool:
    """In the order of the arms, so that of each two the later one is spoken of."""
    order = list(ARMS)
    return order.index(arm) < order.index(other)


def _rows(asked: Sequence[str]) -> list[tuple[str, str]]:
    """The arms in their order, each followed by its variants."""
    there = {(one.arm, one.variant) for one in map(read_cell, asked)}
    return [(arm, variant) for arm in ARMS for variant in VARIANTS if (arm, variant) in there]


def _line(arm: str, variant: str, families: Sequence[str], asked: Sequence[str], comparison: Mapping[str, Any]) -> Line:
    kinds = [BI_ENCODER] if arm == BM25 else families
    places = [_place(cell(arm, family, variant), asked, comparison) for family in kinds]
    return Line(arm_name(cell(arm, BI_ENCODER, variant)), places, is_whole=arm == BM25)


def _place(name: str, asked: Sequence[str], comparison: Mapping[str, Any]) -> Place:
    arm, family, variant = (one := read_cell(name)).arm, one.family, one.variant
    if name not in asked:
        return Place(name, family_name(family), "none")
    found = comparison["arms"].get(name)
    # Families are compared by what the arm itself reached; its variants are for another question.
    values = {} if variant else chosen_families(comparison).get(arm, {}).get("dev", {})
    held_out = values.get(family)
    if found is None:
        return Place(name, family_name(family), "missing", held_out=held_out)
    other = untrained_of(name)
    versus = found["versus"].get(other) if other != name else None
    return Place(
        name=name,
        family=family_name(family),
        state="measured",
        value=Value(**found[MAIN]),
        verdict=verdict_of(arm_name(other), versus, trained=has_learned(found)) if versus else None,
        held_out=held_out,
        is_chosen=len(values) > 1 and chosen_of(comparison, arm) == name,
        seeds=_seeds(found.get("seeds")),
    )


def _seeds(found: Mapping[str, Any] | None) -> str:
    if not found:
        return ""
    return f"{found['count']} repeats, spread {found['spread']:.3f}"


def _chosen(arm: str, comparison: Mapping[str, Any]) -> str:
    """Which family an arm is judged by; nothing where there was no choice."""
    found = chosen_families(comparison).get(arm, {})
    values: Mapping[str, float] = found.get("dev", {})
    chosen = found.get("chosen")
    if chosen not in values or len(values) < 2:
        return ""
    rest = [family for family in FAMILIES if family in values and family != chosen]
    others = ", ".join(f"{family_name(family).lower()} {values[family]:.3f}" for family in rest)
    return (
        f"{arm_name(arm)}: {family_name(chosen).lower()}, nDCG@10 {values[chosen]:.3f} on the held-out examples "
        f"({others})."
    )
