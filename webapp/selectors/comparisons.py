"""The table of finished arms: how good each search is, with intervals, and whether a difference is likely real."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sptar_engine.experiment import ARMS
from webapp.models import Experiment
from webapp.selectors.words import arm_name

MAIN = "nDCG@10"
MEASURES = ("nDCG@10", "RR@10", "R@100")
_FEW = 30  # test queries below which a verdict needs a clear interval (sptar_engine.evaluation.compare)


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
    state: str
    words: str


@dataclass(frozen=True, slots=True)
class Row:
    """An arm of the table."""

    arm: str
    name: str
    values: list[Value | None]
    verdicts: list[Verdict | None]
    training: list[str]


@dataclass(frozen=True, slots=True)
class Table:
    """The comparison as far as it goes. `headline` reads it in one sentence."""

    rows: list[Row]
    others: list[str]
    waiting: list[str]
    queries: int
    headline: str
    caution: str


def table_of(experiment: Experiment) -> Table | None:
    """The comparison of the arms that are measured, baselines first; None before there is one."""
    arms: Mapping[str, Any] = experiment.comparison.get("arms", {})
    present = [arm for arm in ARMS if arm in arms]
    if not present:
        return None
    baselines = [arm for arm in ("bm25", "zero_shot") if arm in present]
    rows = [_row(arm, arms[arm], baselines) for arm in present]
    queries = next((one["queries"] for arm in present for one in arms[arm]["versus"].values()), 0)
    queries = queries or experiment.counts.get("test", 0)
    few = f"Only {queries} test examples: a verdict needs a clear interval." if queries < _FEW else ""
    return Table(
        rows=rows,
        others=[arm_name(arm) for arm in baselines],
        waiting=[arm_name(arm) for arm in experiment.arms if arm not in arms],
        queries=queries,
        headline=_headline(arms, present),
        caution=few,
    )


def short(experiment: Experiment) -> str:
    """The result in a few words, for a list; empty before there is one."""
    arms: Mapping[str, Any] = experiment.comparison.get("arms", {})
    trained = [arm for arm in ARMS if arm in arms and ARMS[arm].trains]
    if not trained or "zero_shot" not in arms:
        return ""
    versus = arms[trained[-1]]["versus"]["zero_shot"]
    return f"{versus['difference']:+.3f} against untrained: {versus['verdict']}"


def read_verdict(versus: Mapping[str, Any], *, trained: bool = True) -> tuple[str, str]:
    """State and words of one comparison: better or worse only where it is likely real."""
    if versus["verdict"] == "better":
        return ("better", "better: likely real") if trained else ("open", "kept the untrained model: not better")
    if versus["verdict"] == "worse":
        return "worse", "worse: likely real"
    needed = versus["queries_needed"]
    if needed is None:
        return "open", "equal on these examples"
    more = needed - versus["queries"]
    return "open", f"cannot tell: about {more:,} more test examples needed" if more > 0 else "cannot tell yet"


def _row(arm: str, found: Mapping[str, Any], baselines: list[str]) -> Row:
    values = [Value(**found[measure]) if measure in found else None for measure in MEASURES]
    trained = not all(one["kept_untrained"] for one in found["training"]) if found.get("training") else True
    verdicts: list[Verdict | None] = []
    for other in baselines:
        if other in found["versus"]:
            versus = found["versus"][other]
            state, words = read_verdict(versus, trained=trained or other != "zero_shot")
            verdicts.append(
                Verdict(
                    arm_name(other),
                    *(f"{versus[name]:+.3f}" for name in ("difference", "low", "high")),
                    f"{versus['p']:.3f}",
                    state,
                    words,
                )
            )
        else:
            verdicts.append(None)
    return Row(arm, arm_name(arm), values, verdicts, [one["sentence"] for one in found.get("training", [])])


def _headline(arms: Mapping[str, Any], present: list[str]) -> str:
    """How the arm that can be downloaded stands against the untrained base model, or what there is so far.

    The arm is not picked by its result: the best of several on the test examples would look better than it is.
    """
    trained = [arm for arm in present if ARMS[arm].trains]
    if not trained or "zero_shot" not in present:
        return "The trained search models are not measured yet."
    last = trained[-1]  # sptar_engine.experiment packs this one
    versus, ours, theirs = arms[last]["versus"]["zero_shot"], arms[last][MAIN]["mean"], arms["zero_shot"][MAIN]["mean"]
    state, words = read_verdict(versus)
    finds = {"better": "finds better results than", "worse": "finds worse results than"}.get(state, "against")
    verdict = words.partition(": ")[2] if state != "open" else words
    return (
        f"“{arm_name(last)}” {finds} the untrained model: {ours:.3f} against {theirs:.3f}, difference "
        f"{versus['difference']:+.3f} (95 % between {versus['low']:+.3f} and {versus['high']:+.3f}): {verdict}."
    )
