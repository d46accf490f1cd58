"""Cells of the table of arms and families, by the names under which results are kept (sptar_engine.arms.cell)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sptar_engine.arms import ARMS, FAMILIES, HYBRID, ZERO_SHOT, cell, read_cell


def in_order(names: Iterable[str]) -> list[str]:
    """The cells that there can be, by arm and then by family, each once."""
    given = set(names)
    return [name for arm in ARMS for family in FAMILIES if (name := cell(arm, family)) in given]


def is_trained(name: str) -> bool:
    """Whether the search of a cell has learned something."""
    arm = read_cell(name).arm
    return arm in ARMS and ARMS[arm].trains


def wanted(arms: Sequence[str], families: Sequence[str]) -> list[str]:
    """All cells of an experiment with these arms and families. Hybrids stand against an untrained hybrid."""
    found = []
    for arm in arms:
        if arm in ARMS and ARMS[arm].trains:
            found += [cell(arm, family) for family in families]
        else:
            found.append(arm)
            if arm == ZERO_SHOT and HYBRID in families:
                found.append(cell(arm, HYBRID))
    return in_order(found)
