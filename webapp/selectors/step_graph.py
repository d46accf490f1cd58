"""The steps of an experiment as a picture: a row for each arm, and for each family where there are several."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from sptar_engine.arms import BI_ENCODER, cell, read_cell
from webapp.cells import in_order
from webapp.experiment_words import SHORT_STAGE_WORDS
from webapp.models import StageRun, State
from webapp.selectors.experiments import left_words, result_words
from webapp.selectors.words import arm_name, family_name, is_teacher, turn_of

SHARED = "For all"

_COLUMNS = (
    "prepare", "tune", "select", "generate", "filter", "mine", "teach", "train", "fuse", "evaluate", "package",
)  # fmt: skip
_WIDEST = 8  # columns of steps that stand beside one another

_Key = tuple[str, str, str]
"""What a row is about: an arm or SHARED, which variant of it, which family."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A stage in the graph."""

    stage: StageRun
    name: str
    column: int
    state: State
    turn: str
    percent: int | None
    left: str
    result: str


@dataclass(frozen=True, slots=True)
class Row:
    """The stages of an arm, those shared by all arms apart; where there are many, those of each family apart, too."""

    name: str
    columns: int
    cells: list[Cell]
    is_family: bool = False


def graph_of(stages: Sequence[StageRun]) -> list[Row]:
    """The stages by arm, and by family where they do not fit side by side: first a row for what all share."""
    columns = [name for name in _COLUMNS if any(stage.stage == name for stage in stages)]
    is_split = len(columns) > _WIDEST or any(stage.family not in ("", BI_ENCODER) for stage in stages)
    groups: dict[_Key, list[StageRun]] = defaultdict(list)
    for stage in stages:
        arm = SHARED if stage.stage == "prepare" else stage.arms[0]
        groups[arm, stage.variant, stage.family if is_split else ""].append(stage)
    shown = [key for key in ((SHARED, "", ""), *_keys(stages)) if key in groups]
    return [_row(key, groups[key], [] if is_split else columns) for key in shown]


def _keys(stages: Sequence[StageRun]) -> list[_Key]:
    """Arms, their variants and families in their standing order; of each arm first what its families share."""
    found: list[_Key] = []
    for name in in_order(stage.cell for stage in stages):
        one = read_cell(name)
        found += [(one.arm, one.variant, ""), (one.arm, one.variant, one.family)]
    return list(dict.fromkeys(found))


def _row(key: _Key, stages: Sequence[StageRun], columns: Sequence[str]) -> Row:
    """A row; without `columns` it has those of its own stages."""
    arm, variant, family = key
    places = columns or [name for name in _COLUMNS if any(stage.stage == name for stage in stages)]
    cells = [_cell(stage, places.index(stage.stage) + 1) for stage in stages]
    if arm == SHARED:
        return Row(SHARED, len(places), cells)
    name = arm_name(cell(arm, BI_ENCODER, variant))
    if family:
        name = f"{name}: {family_name(family).lower()}{' (teacher)' if any(map(is_teacher, stages)) else ''}"
    return Row(name, len(places), cells, is_family=bool(family))


def _cell(stage: StageRun, column: int) -> Cell:
    state = State(stage.state)
    done = state == State.DONE
    return Cell(
        stage=stage,
        name=SHORT_STAGE_WORDS[stage.stage],
        column=column,
        state=state,
        turn=", ".join(turn_of(stage)),
        percent=round(100 * stage.done / stage.total) if state == State.RUNNING and stage.total else None,
        left=left_words(stage),
        result=result_words(stage.stage, stage.metrics) if done else "",
    )
