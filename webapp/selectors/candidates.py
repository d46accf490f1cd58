"""The example sets that an arm tried as demonstrations, and which one was chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models.functions import Left

from webapp.models import CurvePoint, Document, Experiment, Query, StageRun, State
from webapp.selectors.artifacts import rows_of
from webapp.selectors.words import arm_name, plural

_SHOWN = 60  # sets of an arm
_TITLE = 120


@dataclass(frozen=True, slots=True)
class Example:
    """A labelled pair of a set."""

    question: str
    title: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A set with the surprise about the held-out examples behind it."""

    rank: int
    perplexity: float
    chosen: bool
    examples: list[Example]


@dataclass(frozen=True, slots=True)
class Candidates:
    """All sets of an arm, best first; in the order of their trial while that goes on."""

    arm: str
    stage: StageRun
    is_over: bool
    rows: list[Candidate]
    more: int
    sentence: str


def tried(experiment: Experiment, stages: Sequence[StageRun]) -> list[Candidates]:
    """The sets of each arm that has begun to try some."""
    selects = [stage for stage in stages if stage.stage == "select" and stage.state != State.WAITING]
    found = {stage.pk: rows_of(experiment.project, stage, "candidates.jsonl") for stage in selects}
    pairs = [pair for rows in found.values() for row in rows[:_SHOWN] for pair in row["examples"]]
    texts = _Texts.of(experiment, pairs)
    return [_finished(stage, found[stage.pk], texts) if found[stage.pk] else _live(stage) for stage in selects]


@dataclass(frozen=True, slots=True)
class _Texts:
    questions: dict[str, str]
    titles: dict[str, str]

    @classmethod
    def of(cls, experiment: Experiment, pairs: Sequence[dict[str, Any]]) -> _Texts:
        """Texts of the questions and titles of the documents that occur, in two queries."""
        if not pairs:
            return cls({}, {})
        queries = Query.objects.filter(project_id=experiment.project_id, query_id__in={p["query_id"] for p in pairs})
        documents = Document.objects.filter(
            corpus_id=experiment.corpus_id, doc_id__in={pair["doc_id"] for pair in pairs}
        )
        return cls(
            dict(queries.values_list("query_id", "text")),
            dict(documents.annotate(short=Left("title", _TITLE)).values_list("doc_id", "short")),
        )

    def example(self, pair: dict[str, Any]) -> Example:
        return Example(
            self.questions.get(pair["query_id"], f"(removed example {pair['query_id']})"),
            self.titles.get(pair["doc_id"]) or pair["doc_id"],
        )


def _finished(stage: StageRun, rows: list[dict[str, Any]], texts: _Texts) -> Candidates:
    shown = [
        Candidate(row["rank"], row["perplexity"], row["rank"] == 1, [texts.example(pair) for pair in row["examples"]])
        for row in rows[:_SHOWN]
    ]
    best, worst = rows[0]["perplexity"], rows[-1]["perplexity"]
    sentence = (
        f"Set 1 was chosen: with it in front, the held-out examples surprise the model least ({best:.1f}; the worst of "
        f"{len(rows)} {plural(len(rows), 'set')}: {worst:.1f})."
    )
    return Candidates(arm_name(stage.arms[0]), stage, True, shown, max(0, len(rows) - _SHOWN), sentence)


def _live(stage: StageRun) -> Candidates:
    points = CurvePoint.objects.filter(stage_run=stage).order_by("step").values_list("step", "values")[:_SHOWN]
    values = [(step, one["perplexity"]) for step, one in points if "perplexity" in one]
    best = min((value for _, value in values), default=None)
    rows = [Candidate(step, value, value == best, []) for step, value in values]
    sentence = "" if best is None else f"The best so far has a surprise of {best:.1f}."
    return Candidates(arm_name(stage.arms[0]), stage, False, rows, 0, sentence)
