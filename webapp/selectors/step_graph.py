"""The steps of an experiment as a picture: a row for each arm, and for each family where there are several."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from sptar_engine.arms import BI_ENCODER, read_cell
from webapp.cells import in_order
from webapp.experiment_words import SHORT_STAGE_WORDS
from webapp.models import StageRun, State
from webapp.selectors.experiments import left_words, result_words
from webapp.selectors.words import arm_name, family_name, turn_of

SHARED = "For all"

_COLUMNS = (
    "prepare", "tune", "select", "generate", "filter", "mine", "teach", "train", "fuse", "evaluate", "package",
)  # fmt: skip
_WIDEST = 8  # columns of steps that stand beside one another


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
    groups: dict[tuple[str, str], list[StageRun]] = defaultdict(list)
    for stage in stages:
        shared = stage.stage == "prepare"
        groups[SHARED if shared else stage.arms[0], stage.family if is_split else ""].append(stage)
    shown = [key for key in ((SHARED, ""), *_keys(stages)) if key in groups]
    return [_row(arm, family, groups[arm, family], [] if is_split else columns) for arm, family in shown]


def _keys(stages: Sequence[StageRun]) -> list[tuple[str, str]]:
    """Arms and families in their standing order; of each arm first what its families share."""
    found: list[tuple[str, str]] = []
    for name in in_order(stage.cell for stage in stages):
        cell = read_cell(name)
        found += [(cell.arm, ""), (cell.arm, cell.family)]
    return list(dict.fromkeys(found))


def _row(arm: str, family: str, stages: Sequence[StageRun], columns: Sequence[str]) -> Row:
    """A row; without `columns` it has those of its own stages."""
    places = columns or [name for name in _COLUMNS if any(stage.stage == name for stage in stages)]
    cells = [_cell(stage, places.index(stage.stage) + 1) for stage in stages]
    if arm == SHARED:
        return Row(SHARED, len(places), cells)
    name = f"{arm_name(arm)}: {family_name(family).lower()}" if family else arm_name(arm)
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
