"""Cells of the table of arms and families, by the names under which results are kept (sptar_engine.arms.cell)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sptar_engine.arms import ARMS, EQUAL_PAIRS, FAMILIES, HYBRID, ZERO_SHOT, cell, read_cell

VARIANTS = ("", EQUAL_PAIRS)
"""Variants of an arm that an experiment can have: the arm itself, and with as many questions as every other one."""


def in_order(names: Iterable[str]) -> list[str]:
    """The cells that there can be, by arm, then by variant and family, each once."""
    given = set(names)
    places = ((arm, family, variant) for arm in ARMS for variant in VARIANTS for family in FAMILIES)
    return [name for place in places if (name := cell(*place)) in given]


def is_trained(name: str) -> bool:
    """Whether the search of a cell has learned something."""
    arm = read_cell(name).arm
    return arm in ARMS and ARMS[arm].trains


def wanted(arms: Sequence[str], families: Sequence[str], *, equal_pairs: bool = False) -> list[str]:
    """All cells of an experiment with these arms and families. Hybrids stand against an untrained hybrid.

    With `equal_pairs` those arms that write queries have a second cell of each family.
    """
    found = []
    for arm in arms:
        if arm in ARMS and ARMS[arm].trains:
            variants = VARIANTS if equal_pairs and ARMS[arm].generates else ("",)
            found += [cell(arm, family, variant) for family in families for variant in variants]
        else:
            found.append(arm)
            if arm == ZERO_SHOT and HYBRID in families:
                found.append(cell(arm, HYBRID))
    return in_order(found)
