"""How the pages call arms, stages, times and sizes."""

from __future__ import annotations

from sptar_engine.arms import BI_ENCODER, read_cell
from webapp.experiment_words import (
    ARM_WORDS,
    FAMILY_WORDS,
    PRESET_WORDS,
    SHORT_ARM_WORDS,
    STAGE_WORDS,
    VARIANT_WORDS,
)
from webapp.models import StageRun

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_FIRST_ROUND = ".first"


def arm_name(name: str) -> str:
    """The name of an arm or a cell (webapp.cells) for people; the bi-encoder, the usual family, is not named."""
    arm = read_cell(name).arm
    return _with_kind(ARM_WORDS[arm].name if arm in ARM_WORDS else arm, name)


def family_name(family: str) -> str:
    """The name of a kind of search models for people."""
    return FAMILY_WORDS[family].name if family in FAMILY_WORDS else family


def stage_name(stage: str) -> str:
    """What a stage does, in a few words."""
    return STAGE_WORDS.get(stage, stage)


def stage_title(stage: StageRun) -> str:
    """A stage and, where it is not for all arms, whose it is."""
    name = stage_name(stage.stage)
    if stage.stage == "prepare":
        return name
    whose = short_name(stage.cell)
    return ", ".join([f"{name}: {whose}", *turn_of(stage)])


def short_name(name: str) -> str:
    """An arm or a cell in a word or two."""
    arm = read_cell(name).arm
    return _with_kind(SHORT_ARM_WORDS.get(arm, arm), name)


def variant_name(variant: str) -> str:
    """What a variant of an arm is called; empty for the arm itself."""
    return VARIANT_WORDS.get(variant, variant.replace("_", " "))


def turn_of(stage: StageRun) -> list[str]:
    """Which of several trainings of one search model a stage belongs to, in words; empty for the only one."""
    repeat = repeat_of(stage)
    return [*([f"repeat {repeat}"] if repeat else []), *(["first round"] if is_first_round(stage) else [])]


def repeat_of(stage: StageRun) -> str:
    """The number of a repeat with another seed, empty for the first run (sptar_engine.course names the steps)."""
    last = stage.step_id.removesuffix(_FIRST_ROUND).rpartition(".")[2]
    return last if last.isdigit() else ""


def is_first_round(stage: StageRun) -> bool:
    """Whether a training only makes the teacher of the next one, of the same search model."""
    return stage.step_id.endswith(_FIRST_ROUND)


def is_teacher(stage: StageRun) -> bool:
    """Whether a training only makes a teacher for the others: a kind of search model that nobody asked to compare."""
    return stage.stage == "train" and (stage.family or BI_ENCODER) not in stage.experiment.families


def preset_name(preset: str) -> str:
    """The name of a preset for people."""
    return PRESET_WORDS[preset].name if preset in PRESET_WORDS else preset


def plural(count: float, noun: str) -> str:
    """The noun as it follows this number."""
    return noun if count == 1 else f"{noun}s"


def duration(seconds: float) -> str:
    """A time for people, with the precision that they need."""
    if seconds < 10:
        return "a few seconds"
    if seconds < 90:
        return f"{round(seconds / 10) * 10} seconds"
    if seconds < 90 * _MINUTE:
        return _count(seconds / _MINUTE, "minute")
    if seconds < 36 * _HOUR:
        return _count(seconds / _HOUR, "hour")
    return _count(seconds / _DAY, "day")


def time_range(low: float, high: float) -> str:
    """A range of times in one unit where possible: `8 to 19 minutes`."""
    first, second = duration(low), duration(high)
    if first == second:
        return f"about {first}"
    number, _, unit = first.partition(" ")
    same = unit.rstrip("s") == second.partition(" ")[2].rstrip("s")
    return f"{number} to {second}" if same else f"{first} to {second}"


def size(count: float) -> str:
    """Bytes for people."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}" if count < 10 * scale else f"{count / scale:,.0f} {unit}"
    return f"{count:.0f} bytes"


def _with_kind(shown: str, name: str) -> str:
    """The name of an arm with what else its cell says: the kind of search model, and which variant of the arm."""
    cell = read_cell(name)
    kind = "" if cell.family == BI_ENCODER else family_name(cell.family).lower()
    return ", ".join(words for words in (shown, kind, variant_name(cell.variant)) if words)


def _count(value: float, noun: str) -> str:
    shown = round(value)
    return f"{shown} {plural(shown, noun)}"


def write_p(p: float) -> str:
    """A p-value in three digits; a very small one is not zero."""
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"
