"""Which cells of a table are read together: their comparisons are one family of tests.

A grid of arms and families has far more pairs than anybody asks about, and an adjustment for all of them would let no
difference count. What is asked is how the arms of one family stand against each other and against the baselines, how
arms stand at an equal number of pairs, and what each variant of an arm is worth.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sptar_engine.arms import BM25, EQUAL_PAIRS, FAMILIES, Cell, read_cell, untrained


def columns(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Groups of cells, by name; a pair of cells belongs to the first group that holds both, if any does.

    First the families, each with BM25 and its untrained counterpart; then, for each family, the arms at equal numbers
    of pairs; then each arm of a family with its variants. Names that are no cells of arms form no group.
    """
    cells = {name: read_cell(name) for name in names}
    groups: list[list[str]] = []
    for family in FAMILIES:
        own = [name for name, one in cells.items() if one.family == family and name != BM25]
        groups.append(_with_baselines([name for name in own if not cells[name].variant], family, cells))
        groups.append([name for name in own if cells[name].variant == EQUAL_PAIRS])
        for arm in dict.fromkeys(cells[name].arm for name in own):
            groups.append([name for name in own if cells[name].arm == arm and cells[name].variant != EQUAL_PAIRS])
    return [tuple(group) for group in groups if len(group) > 1]


def _with_baselines(own: list[str], family: str, cells: Mapping[str, Cell]) -> list[str]:
    if not own:
        return []
    return [name for name in dict.fromkeys((BM25, untrained(family), *own)) if name in cells]
