"""Means with their intervals, and whether a difference is likely real, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sptar_engine.evaluation.baselines import KEPT, is_none_the_better
from webapp.selectors.words import write_p


@dataclass(frozen=True, slots=True)
class Value:
    """A mean over the test examples with its 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an arm stands against another one. `state` is better, worse or open."""

    other: str
    difference: str
    low: str
    high: str
    p: str
    t_p: str
    state: str
    words: str


def read_verdict(versus: Mapping[str, Any], *, trained: bool = True) -> tuple[str, str]:
    """State and words of one comparison: better or worse only where it is likely real.

    Not `trained` is a cell that kept the untrained model, against an untrained search.
    """
    if not trained and is_none_the_better(versus):
        return "open", KEPT
    if versus["verdict"] == "better":
        return "better", "better: likely real"
    if versus["verdict"] == "worse":
        return "worse", "worse: likely real"
    needed = versus["queries_needed"]
    if needed is None:
        return "open", "equal on these examples"
    more = needed - versus["queries"]
    return "open", f"cannot tell: about {more:,} more test examples needed" if more > 0 else "cannot tell yet"


def verdict_of(other: str, versus: Mapping[str, Any], *, trained: bool = True) -> Verdict:
    """One comparison for a table."""
    state, words = read_verdict(versus, trained=trained)
    numbers = [f"{versus[name]:+.3f}" for name in ("difference", "low", "high")]
    return Verdict(other, *numbers, write_p(versus["p"]), write_p(versus["t_p"]), state, words)
