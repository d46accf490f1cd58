"""What an experiment's generated questions look like: the newest ones, how long they are, what became of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet
from django.db.models.functions import Left

from webapp.charts import Histogram, draw_histogram
from webapp.models import Document, Experiment, StageRun, State, WeakQuery
from webapp.selectors.words import arm_name, plural

SHOWN = 10
_SAMPLED = 1_000  # newest questions whose lengths are drawn
_SHORT = 300  # characters of a question that are shown
_TITLE = 120

REASONS = {
    "empty": "nothing was written",
    "letterless": "no letters",
    "template": "repeats the prompt",
    "example": "copies the demonstration",
    "repetitive": "repeats itself",
    "short": "too short",
    "copy": "copies one of your examples",
    "duplicate": "the same question as another",
    "rank": "keyword search does not find its document",
    "round_trip": "search by meaning does not find its document",
    "likelihood": "the question writer finds it less likely than others",
}
"""Why a question was dropped: while writing (sptar_engine.prompting.cleanup) and by the filter."""

_BY_RULE = ("rank", "round_trip", "likelihood")  # what a filter decides by (sptar_engine.data.verdicts)

USABLE = ("", "copy", "duplicate", *_BY_RULE)
"""What `WeakQuery.dropped` says of a question that a filter has seen, so that a person can bring it into a training."""

CLEANED_UP = frozenset(REASONS) - {*USABLE}
"""Reasons of clean-up: no filter has seen such a question, and no training can use it."""

THRESHOLD = ("", *_BY_RULE)
"""What `WeakQuery.dropped` says of a question that a filter's rule decides about; the other reasons stand."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A generated question and the title of its document."""

    text: str
    title: str
    dropped: str


@dataclass(frozen=True, slots=True)
class Reason:
    """How many questions were dropped for a reason."""

    words: str
    count: int


@dataclass(frozen=True, slots=True)
class Questions:
    """What one arm had written, or several that share it."""

    arm: str
    stage: StageRun
    state: State
    kept: int
    dropped: int
    rate: float | None
    last: str
    samples: list[Sample]
    lengths: Histogram | None
    filtered: StageRun | None
    reasons: list[Reason]
    sentence: str


KEPT_WORDS = {
    "bm25": "keyword search finds their own document",
    "round_trip": "search by meaning finds their own document",
    "likelihood": "the question writer finds them likeliest",
}
"""What is true of the questions that a filter keeps, by its method."""


def method_of(config: Mapping[str, Any]) -> str:
    """What decides in a filter with these settings: keyword search, before there were others to choose."""
    return str(config.get("method", "bm25"))


def threshold_in(config: Mapping[str, Any]) -> int | None:
    """The threshold on BM25's ranks in the settings of a filter; None where something else decides."""
    return int(config["top_k"]) if method_of(config) == "bm25" and "top_k" in config else None


def kept_by(top_k: int | None) -> Q:
    """The questions that a filter with this threshold keeps, whichever filter wrote `WeakQuery.dropped`.

    Without a threshold it is what the newest filter said.
    """
    return Q(dropped="") if top_k is None else Q(dropped__in=THRESHOLD, rank__lte=top_k)


def dropped_by(top_k: int | None, dropped: str, rank: int | None) -> str:
    """Why such a filter drops a question; empty when it keeps it."""
    if top_k is None or dropped not in THRESHOLD:
        return dropped
    return "" if rank is not None and rank <= top_k else "rank"


def written(experiment: Experiment, stages: Sequence[StageRun]) -> list[Questions]:
    """The questions of each arm that has some written; arms that share them and their filter stand together.

    Two queries each.
    """
    filters = {arm: stage for stage in stages if stage.stage == "filter" for arm in stage.arms}
    found = []
    for stage in stages:
        if stage.stage == "generate" and stage.state != State.WAITING:
            groups: dict[StageRun | None, list[str]] = {}
            for arm in stage.arms:
                groups.setdefault(filters.get(arm), []).append(arm)
            found += [_of_arms(experiment, stage, arms, filtered) for filtered, arms in groups.items()]
    return found


def _of_arms(experiment: Experiment, stage: StageRun, arms: Sequence[str], filtered: StageRun | None) -> Questions:
    rows = _newest(experiment, stage)
    metrics = stage.metrics
    lengths = [len(row["start"].split()) for row in rows if row["dropped"] not in CLEANED_UP]
    sentence, name = _read_filter(filtered), " and ".join(map(arm_name, arms))
    return Questions(
        arm=name,
        stage=stage,
        state=State(stage.state),
        kept=int(metrics.get("queries", metrics.get("kept", 0))),
        dropped=_dropped(metrics),
        rate=metrics.get("queries_per_second") if stage.state == State.RUNNING else None,
        last=str(metrics.get("last_query", "")) if stage.state == State.RUNNING else "",
        samples=_samples(experiment, rows[:SHOWN]),
        lengths=draw_histogram(
            key=f"lengths-{stage.pk}-{arms[0]}",
            title=f"Words in the questions of {name}",
            description=f"How many words the newest {len(lengths)} {plural(len(lengths), 'question')} have.",
            x_name="words",
            y_name="questions",
            values=lengths,
        ),
        filtered=filtered if filtered and filtered.state == State.DONE else None,
        reasons=_reasons(metrics, filtered.metrics if filtered and filtered.state == State.DONE else {}),
        sentence=sentence,
    )


def _newest(experiment: Experiment, stage: StageRun) -> list[dict[str, Any]]:
    if not stage.folder:
        return []
    rows: QuerySet[WeakQuery] = WeakQuery.objects.filter(project_id=experiment.project_id, batch=stage.folder)
    found = rows.annotate(start=Left("text", _SHORT)).order_by("-id")
    return list(found.values("start", "doc_id", "dropped")[:_SAMPLED])


def _samples(experiment: Experiment, rows: Sequence[Mapping[str, Any]]) -> list[Sample]:
    ids = [row["doc_id"] for row in rows]
    found = Document.objects.filter(corpus_id=experiment.corpus_id, doc_id__in=ids)
    titles = dict(found.annotate(short=Left("title", _TITLE)).values_list("doc_id", "short"))
    return [
        Sample(row["start"], titles.get(row["doc_id"]) or row["doc_id"], REASONS.get(row["dropped"], row["dropped"]))
        for row in rows
    ]


def _dropped(metrics: Mapping[str, Any]) -> int:
    """While it runs the reports have a number, when done the result has one for each reason."""
    found = metrics.get("dropped", 0)
    return sum(found.values()) if isinstance(found, dict) else int(found)


def _reasons(generated: Mapping[str, Any], filtered: Mapping[str, Any]) -> list[Reason]:
    counts: dict[str, int] = {}
    if isinstance(by_reason := generated.get("dropped"), dict):
        counts.update(by_reason)
    for name in ("copy", "duplicate", *_BY_RULE):
        counts[name] = counts.get(name, 0) + filtered.get(f"dropped_{name}", 0)
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return [Reason(REASONS.get(name, name), count) for name, count in ordered if count]


def _read_filter(filtered: StageRun | None) -> str:
    if filtered is None or filtered.state != State.DONE:
        return ""
    metrics = filtered.metrics
    kept, total = metrics.get("kept", 0), metrics.get("total", 0)
    share = f" ({kept / total:.0%})" if total else ""
    return f"{kept:,} of {total:,} {plural(total, 'question')} kept{share}: {KEPT_WORDS[method_of(filtered.config)]}."
