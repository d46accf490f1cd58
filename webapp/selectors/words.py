"""How the pages call arms, stages, times and sizes."""

from __future__ import annotations

from webapp.experiment_words import ARM_WORDS, PRESET_WORDS, SHORT_ARM_WORDS, STAGE_WORDS
from webapp.models import StageRun

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def arm_name(arm: str) -> str:
    """The name of an arm for people."""
    return ARM_WORDS[arm].name if arm in ARM_WORDS else arm


def stage_name(stage: str) -> str:
    """What a stage does, in a few words."""
    return STAGE_WORDS.get(stage, stage)


def stage_title(stage: StageRun) -> str:
    """A stage and, where it is not for all arms, whose it is."""
    name = stage_name(stage.stage)
    if stage.stage == "prepare":
        return name
    repeat = repeat_of(stage)
    whose = SHORT_ARM_WORDS.get(stage.arms[0], stage.arms[0])
    return f"{name}: {whose}, repeat {repeat}" if repeat else f"{name}: {whose}"


def repeat_of(stage: StageRun) -> str:
    """The number of a repeat with another seed, empty for the first run (sptar_engine.experiment names the steps)."""
    last = stage.step_id.rpartition(".")[2]
    return last if last.isdigit() else ""


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


def _count(value: float, noun: str) -> str:
    shown = round(value)
    return f"{shown} {plural(shown, noun)}"


def write_p(p: float) -> str:
    """A p-value in three digits; a very small one is not zero."""
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"
