"""The table of finished arms: how good each search is, with intervals, and whether a difference is likely real."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sptar_engine.arms import ARMS, BI_ENCODER, BM25, HYBRID, cell, read_cell, untrained
from sptar_engine.evaluation.baselines import has_learned, stands_untrained
from sptar_engine.training.pairs import WRITTEN, count_pairs
from webapp.cells import in_order, is_trained, wanted
from webapp.models import Experiment, StageRun
from webapp.selectors.verdicts import Value, Verdict, read_verdict, verdict_of
from webapp.selectors.words import arm_name, duration, family_name, short_name, size, stage_name

MAIN = "nDCG@10"
MEASURES = ("nDCG@10", "RR@10", "R@100")
ALL_MEASURES = ("nDCG@10", "RR@10", "R@100", "AP")
JUDGED = "Judged@10"
_FEW = 30  # test queries below which a verdict needs a clear interval (sptar_engine.evaluation.compare)
_MIB = 2**20
_FULL_NAMES = {
    "bm25": "keyword search (BM25)", "zero_shot": "the untrained model", "zero_shot/hybrid": "the untrained hybrid",
}  # fmt: skip
_COLUMNS = {BM25: arm_name(BM25), "untrained": arm_name("zero_shot")}


@dataclass(frozen=True, slots=True)
class Row:
    """A search of the table: `arm` is the name of its cell (webapp.cells)."""

    arm: str
    name: str
    values: list[Value | None]
    verdicts: list[Verdict | None]
    cost: str
    """Time and memory that it took to make, in words; empty where nobody measured them."""


@dataclass(frozen=True, slots=True)
class Table:
    """The comparison as far as it goes. `headline` reads it in one sentence."""

    rows: list[Row]
    others: list[str]
    waiting: list[str]
    queries: int
    headline: str
    caution: str
    training: list[str]
    """What each training said of itself, with the names of the searches that came of it."""
    notes: list[str]
    """What steps warned of, such as a teacher that was not fit to teach."""


def table_of(
    experiment: Experiment, comparison: Mapping[str, Any] | None = None, measures: Sequence[str] = MEASURES
) -> Table | None:
    """The comparison of the searches that are measured, baselines first; None before there is one.

    Each stands against keyword search and against the untrained search of its own kind, as far as these are measured.
    `waiting` names the cells that were asked for and are not there. `comparison` is that of other judgements than the
    experiment's first ones.
    """
    known = experiment.comparison if comparison is None else comparison
    arms: Mapping[str, Any] = known.get("arms", {})
    present = in_order(arms)
    if not present:
        return None
    columns = [kind for kind in (BM25, "untrained") if any(_baseline(kind, name) in arms for name in present)]
    rows = [_row(name, arms, columns, measures) for name in present]
    queries = queries_of(arms) or experiment.counts.get("test", 0)
    few = f"Only {queries} test examples: a verdict needs a clear interval." if queries < _FEW else ""
    return Table(
        rows=rows,
        others=[_COLUMNS[kind] for kind in columns],
        waiting=[arm_name(name) for name in cells_of(experiment) if name not in arms],
        queries=queries,
        headline=_headline(known),
        caution=few,
        training=_trainings(arms, present),
        notes=_notes(known.get("notes", ())),
    )


def cells_of(experiment: Experiment) -> list[str]:
    """All cells that an experiment comes to, in their order."""
    return wanted(experiment.arms, experiment.families, equal_pairs=experiment.equal_pairs)


def queries_of(arms: Mapping[str, Any]) -> int:
    """On how many test questions arms were compared; 0 while there is only one arm."""
    return next((one["queries"] for arm in arms.values() for one in arm["versus"].values()), 0)


def best_known(comparison: Mapping[str, Any]) -> str:
    """The cell that the sentences speak of: the last arm's, whose models can be downloaded; empty before one is there.

    Of its families it is the one that was best on the held-out examples. It is not picked by its result: the best of
    several on the test examples would look better than it is.
    """
    found = in_order(comparison.get("arms", {}))
    trained = [name for name in found if is_trained(name) and not read_cell(name).variant]
    if not trained:
        return ""
    arm = read_cell(trained[-1]).arm
    own = [name for name in trained if read_cell(name).arm == arm]
    best = chosen_of(comparison, arm)
    return best if best in own else own[0]


def usual_cell(experiment: Experiment, names: Sequence[str]) -> str:
    """Of several cells of an experiment the one that somebody most likely means; empty when there is none.

    That is the one the sentences speak of, before it is measured the first family of the last arm.
    """
    best = best_known(experiment.comparison)
    if best in names:
        return best
    return next((name for name in names if read_cell(name).arm == read_cell(names[-1]).arm), "")


def chosen_families(comparison: Mapping[str, Any]) -> Mapping[str, Any]:
    """By arm its values on the held-out examples by family, and the family that was best there."""
    found: Mapping[str, Any] = comparison.get("families", {})
    return found


def chosen_of(comparison: Mapping[str, Any], arm: str) -> str:
    """The cell of an arm whose family was best on the held-out examples; empty while nobody knows."""
    family = chosen_families(comparison).get(arm, {}).get("chosen")
    return cell(arm, family) if family else ""


def baselines_of(name: str, arms: Mapping[str, Any]) -> list[str]:
    """The measured searches without training that a cell stands against: keyword search, the untrained of its kind."""
    return [other for other in (BM25, untrained_of(name)) if other in arms and other != name]


def untrained_of(name: str) -> str:
    """The search without training that a cell is compared with: of a hybrid the untrained hybrid."""
    return untrained(read_cell(name).family)


def sentence_against(arms: Mapping[str, Any], arm: str, other: str) -> str:
    """How an arm stands against another one, with the numbers and the verdict."""
    versus, ours, theirs = arms[arm]["versus"][other], arms[arm][MAIN]["mean"], arms[other][MAIN]["mean"]
    state, words = read_verdict(versus, trained=has_learned(arms[arm]) or is_trained(other) or other == BM25)
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
    arm = best_known(comparison)
    others = baselines_of(arm, arms)
    if not arm or not others:
        return ["The trained search models are not measured yet."]
    return [sentence_against(arms, arm, other) for other in others]


def pair_words(stages: Sequence[StageRun]) -> str:
    """On how many pairs each arm was trained, and whether the ways of asking are compared at unequal numbers."""
    rows = [stage for stage in stages if stage.stage == "train" and stage.metrics]
    trained = {arm: stage.metrics for stage in reversed(rows) if not stage.variant for arm in stage.arms}
    if not trained:
        return ""
    parts = [
        f"“{arm_name(arm)}” on {trained[arm].get('seed_pairs', 0):,} example pairs"
        + (f" and {count_pairs(trained[arm], WRITTEN):,} generated questions" if ARMS[arm].generates else "")
        for arm in ARMS
        if arm in trained
    ]
    words = f"Trained: {'; '.join(parts)}."
    counts = {count_pairs(metrics, WRITTEN) for arm, metrics in trained.items() if ARMS[arm].generates}
    if len(counts) > 1:
        words += (
            " The ways of asking had unequal numbers of generated questions that were kept, so part of a difference "
            "between them may come from the number alone"
        )
        equal = next((count_pairs(stage.metrics, WRITTEN) for stage in rows if stage.variant), None)
        words += (
            "; no arm here was trained on equal numbers."
            if equal is None
            else f": “equal numbers” stands for the same training on {equal:,} of them."
        )
    return words


def short(experiment: Experiment, comparison: Mapping[str, Any] | None = None) -> str:
    """The result in a few words, for a list; empty before there is one."""
    found = comparison or experiment.comparison
    arms: Mapping[str, Any] = found.get("arms", {})
    arm = best_known(found)
    if not arm or untrained_of(arm) not in arms:
        return ""
    versus = arms[arm]["versus"][untrained_of(arm)]
    family = read_cell(arm).family
    whose = "" if family == BI_ENCODER else f"{family_name(family)}: "
    is_same = stands_untrained(arms, arm, untrained_of(arm))
    verdict = "kept the untrained model" if is_same else versus["verdict"]
    return f"{whose}{versus['difference']:+.3f} against untrained: {verdict}"


def _row(name: str, arms: Mapping[str, Any], columns: Sequence[str], measures: Sequence[str]) -> Row:
    found = arms[name]
    values = [Value(**found[measure]) if measure in found else None for measure in measures]
    verdicts = [_against(name, _baseline(kind, name), found) for kind in columns]
    return Row(name, arm_name(name), values, verdicts, _cost(found))


def _trainings(arms: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """A sentence for each training: several cells can have one in common, and a hybrid's is that of its bi-encoder."""
    said: dict[tuple[str, str], list[str]] = {}
    for name in names:
        one = read_cell(name)
        trained = cell(one.arm, BI_ENCODER, one.variant) if one.family == HYBRID else name
        for told in arms[name].get("training", []):
            said.setdefault((told.get("step", ""), told["sentence"]), []).append(arm_name(trained))
    return [f"{', '.join(dict.fromkeys(searches))}: {sentence}" for (_, sentence), searches in said.items()]


def _cost(found: Mapping[str, Any]) -> str:
    words = [duration(found["seconds"])] if found.get("seconds") else []
    if found.get("peak_mib"):
        words.append(f"{size(found['peak_mib'] * _MIB)} of memory")
    return ", ".join(words)


def _notes(texts: Sequence[str]) -> list[str]:
    """Warnings of the engine, the steps that they name in our words; several of one kind with one sentence are one."""
    steps: dict[tuple[str, str], list[str]] = {}
    for text in texts:
        step, colon, sentence = text.partition(": ")
        stage, _, name = step.partition(".")
        if colon and name:
            steps.setdefault((stage_name(stage), sentence), []).append(short_name(name.partition(".")[0]))
        else:
            steps.setdefault(("", text), [])
    return [
        f"{stage}, {', '.join(dict.fromkeys(names))}: {sentence}" if names else sentence
        for (stage, sentence), names in steps.items()
    ]


def _baseline(kind: str, name: str) -> str:
    """The search that a cell stands against in a column of the table."""
    return BM25 if kind == BM25 else untrained_of(name)


def _against(name: str, other: str, found: Mapping[str, Any]) -> Verdict | None:
    if other == name or other not in found["versus"]:
        return None
    return verdict_of(arm_name(other), found["versus"][other], trained=has_learned(found) or other == BM25)


def _headline(comparison: Mapping[str, Any]) -> str:
    """How the search that the sentences speak of stands against the untrained one, or what there is so far."""
    arms = comparison["arms"]
    last = best_known(comparison)
    other = untrained_of(last)
    if not last or other not in arms:
        return "The trained search models are not measured yet."
    versus, ours, theirs = arms[last]["versus"][other], arms[last][MAIN]["mean"], arms[other][MAIN]["mean"]
    state, words = read_verdict(versus, trained=has_learned(arms[last]))
    finds = {"better": "finds better results than", "worse": "finds worse results than"}.get(state, "against")
    verdict = words.partition(": ")[2] if state != "open" else words
    return (
        f"“{arm_name(last)}” {finds} {_FULL_NAMES[other]}: {ours:.3f} against {theirs:.3f}, difference "
        f"{versus['difference']:+.3f} (95 % between {versus['low']:+.3f} and {versus['high']:+.3f}): {verdict}."
    )
