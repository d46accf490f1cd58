"""The table of finished arms: how good each search is, with intervals, and whether a difference is likely real."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sptar_engine.experiment import ARMS
from webapp.models import Experiment, StageRun
from webapp.selectors.words import arm_name, write_p

MAIN = "nDCG@10"
MEASURES = ("nDCG@10", "RR@10", "R@100")
ALL_MEASURES = ("nDCG@10", "RR@10", "R@100", "AP")
JUDGED = "Judged@10"
BASELINES = ("bm25", "zero_shot")
_FEW = 30  # test queries below which a verdict needs a clear interval (sptar_engine.evaluation.compare)
_FULL_NAMES = {"bm25": "keyword search (BM25)", "zero_shot": "the untrained model"}


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


def table_of(
    experiment: Experiment, comparison: Mapping[str, Any] | None = None, measures: Sequence[str] = MEASURES
) -> Table | None:
    """The comparison of the arms that are measured, baselines first; None before there is one.

    `comparison` is that of other judgements than the experiment's first ones.
    """
    arms: Mapping[str, Any] = (experiment.comparison if comparison is None else comparison).get("arms", {})
    present = [arm for arm in ARMS if arm in arms]
    if not present:
        return None
    baselines = [arm for arm in BASELINES if arm in present]
    rows = [_row(arm, arms[arm], baselines, measures) for arm in present]
    queries = queries_of(arms) or experiment.counts.get("test", 0)
    few = f"Only {queries} test examples: a verdict needs a clear interval." if queries < _FEW else ""
    return Table(
        rows=rows,
        others=[arm_name(arm) for arm in baselines],
        waiting=[arm_name(arm) for arm in experiment.arms if arm not in arms],
        queries=queries,
        headline=_headline(arms, present),
        caution=few,
    )


def queries_of(arms: Mapping[str, Any]) -> int:
    """On how many test questions arms were compared; 0 while there is only one arm."""
    return next((one["queries"] for arm in arms.values() for one in arm["versus"].values()), 0)


def best_known(arms: Mapping[str, Any]) -> str:
    """The arm that the sentences speak of: the trained one that can be downloaded; empty before one is measured.

    It is not picked by its result: the best of several on the test examples would look better than it is.
    """
    trained = [arm for arm in ARMS if arm in arms and ARMS[arm].trains]
    return trained[-1] if trained else ""


def sentence_against(arms: Mapping[str, Any], arm: str, other: str) -> str:
    """How an arm stands against another one, with the numbers and the verdict."""
    versus, ours, theirs = arms[arm]["versus"][other], arms[arm][MAIN]["mean"], arms[other][MAIN]["mean"]
    state, words = read_verdict(versus, trained=_is_trained(arms[arm]) or other != "zero_shot")
    named = _FULL_NAMES.get(other, f"“{arm_name(other)}”")
    numbers = (
        f"{MAIN} {ours:.3f} against {theirs:.3f}, {versus['difference']:+.3f}, 95 % between {versus['low']:+.3f} and "
        f"{versus['high']:+.3f}, {versus['queries']} test questions"
    )
    if state == "open":
        return f"“{arm_name(arm)}” against {named}: {words} ({numbers})."
    return f"“{arm_name(arm)}” finds {state} results than {named}: {numbers}: likely real."


def headlines_of(comparison: Mapping[str, Any]) -> list[str]:
    """One sentence against each baseline, keyword search first; what is missing is said."""
    arms: Mapping[str, Any] = comparison.get("arms", {})
    arm = best_known(arms)
    if not arm or not any(other in arms for other in BASELINES):
        return ["The trained search models are not measured yet."]
    return [sentence_against(arms, arm, other) for other in BASELINES if other in arms]


def pair_words(stages: Sequence[StageRun]) -> str:
    """On how many pairs each arm was trained; the two writers of questions are compared at unequal numbers."""
    trained = {stage.arms[0]: stage.metrics for stage in reversed(stages) if stage.stage == "train" and stage.metrics}
    if not trained:
        return ""
    parts = [
        f"“{arm_name(arm)}” on {trained[arm].get('seed_pairs', 0):,} example pairs"
        + (f" and {trained[arm].get('weak_pairs', 0):,} generated questions" if ARMS[arm].generates else "")
        for arm in ARMS
        if arm in trained
    ]
    words = f"Trained: {'; '.join(parts)}."
    counts = {trained[arm].get("weak_pairs") for arm in ("inpars", "sptar") if arm in trained}
    if len(counts) > 1:
        words += (
            " The two question writers had unequal numbers of generated questions that were kept, so part of a "
            "difference between them may come from the number alone; no arm here was trained on equal numbers."
        )
    return words


def short(experiment: Experiment, comparison: Mapping[str, Any] | None = None) -> str:
    """The result in a few words, for a list; empty before there is one."""
    arms: Mapping[str, Any] = (comparison or experiment.comparison).get("arms", {})
    arm = best_known(arms)
    if not arm or "zero_shot" not in arms:
        return ""
    versus = arms[arm]["versus"]["zero_shot"]
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


def verdict_of(other: str, versus: Mapping[str, Any], *, trained: bool = True) -> Verdict:
    """One comparison for a table."""
    state, words = read_verdict(versus, trained=trained)
    numbers = [f"{versus[name]:+.3f}" for name in ("difference", "low", "high")]
    return Verdict(other, *numbers, write_p(versus["p"]), write_p(versus["t_p"]), state, words)


def _row(arm: str, found: Mapping[str, Any], baselines: list[str], measures: Sequence[str]) -> Row:
    values = [Value(**found[measure]) if measure in found else None for measure in measures]
    trained = _is_trained(found)
    verdicts = [
        verdict_of(arm_name(other), found["versus"][other], trained=trained or other != "zero_shot")
        if other in found["versus"]
        else None
        for other in baselines
    ]
    return Row(arm, arm_name(arm), values, verdicts, [one["sentence"] for one in found.get("training", [])])


def _is_trained(found: Mapping[str, Any]) -> bool:
    """False when every training of an arm kept the untrained model."""
    return not all(one["kept_untrained"] for one in found["training"]) if found.get("training") else True


def _headline(arms: Mapping[str, Any], present: list[str]) -> str:
    """How the arm that can be downloaded stands against the untrained base model, or what there is so far."""
    last = best_known(arms)
    if not last or "zero_shot" not in present:
        return "The trained search models are not measured yet."
    versus, ours, theirs = arms[last]["versus"]["zero_shot"], arms[last][MAIN]["mean"], arms["zero_shot"][MAIN]["mean"]
    state, words = read_verdict(versus)
    finds = {"better": "finds better results than", "worse": "finds worse results than"}.get(state, "against")
    verdict = words.partition(": ")[2] if state != "open" else words
    return (
        f"“{arm_name(last)}” {finds} the untrained model: {ours:.3f} against {theirs:.3f}, difference "
        f"{versus['difference']:+.3f} (95 % between {versus['low']:+.3f} and {versus['high']:+.3f}): {verdict}."
    )
