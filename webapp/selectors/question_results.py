"""What each search found for one test question, side by side, and which of it nobody has judged yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from sptar_engine.arms import BM25
from sptar_engine.errors import SptarError
from sptar_engine.evaluation.run_lines import first_hits
from webapp.models import Experiment, Judgement, Query
from webapp.selectors import measured
from webapp.selectors.comparisons import MAIN, untrained_of
from webapp.selectors.hits import Card, cards_of
from webapp.selectors.judgements import PLAYGROUND, counting, judgements_of
from webapp.selectors.measured import Scores
from webapp.selectors.words import arm_name

SHOWN = 10
_DEPTH = 100  # how deep a document's other place is looked for
FROM_HERE = ("unjudged", PLAYGROUND)
"""Sources of grades that can be given on this page: the first is given here, the second counts for no figure."""


@dataclass(frozen=True, slots=True)
class Move:
    """A document's place compared with the column before. `kind` is up, down, same or new."""

    kind: str
    words: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A result. Without a card the current version of the documents does not have it."""

    rank: int
    doc_id: str
    card: Card | None
    grade: int | None
    is_counted: bool
    move: Move | None


@dataclass(frozen=True, slots=True)
class Column:
    """The first results of one search and its value for this question."""

    arm: str
    name: str
    entries: list[Entry]
    value: float | None
    unjudged: int
    problem: str


@dataclass(frozen=True, slots=True)
class Results:
    """The page of one question."""

    query_id: str
    text: str
    query: Query | None
    columns: list[Column]
    to_judge: list[Card]
    left: int
    gone: int
    """Results that nobody has judged and nobody can: today's documents do not have them."""
    problem: str
    """Why nothing can be judged here; empty when it can."""


Runs = Mapping[str, Sequence[Path]]
"""Run files by cell (webapp.selectors.measured.runs_of)."""


def results_of(
    experiment: Experiment, query_id: str, text: str, arms: Sequence[str], runs: Runs, scores: Scores
) -> Results:
    """The columns of `arms` for a test question, in that order."""
    query = experiment.project.queries.filter(query_id=query_id).first()
    problem = _problem(query, text)
    judged = judgements_of([query.pk])[query.pk] if query else {}
    hits = {arm: _hits(runs[arm][0], query_id) for arm in arms if runs.get(arm)}
    shown = list(dict.fromkeys(doc_id for found in hits.values() for doc_id in (found or [])[:SHOWN]))
    cards = cards_of(experiment.project, shown, text, judged)
    columns = [
        _column(arm, hits[arm], hits.get(before), cards, judged, scores.get(arm, {}).get(MAIN, {}).get(query_id))
        for before, arm in zip(["", *hits], hits, strict=False)
    ]
    to_judge = [] if problem else [cards[doc_id] for doc_id in _shuffled(shown, query_id) if _is_open(doc_id, judged)
                                   and doc_id in cards]  # fmt: skip
    left = sum(counting(judged.get(card.doc_id, ())) is None for card in to_judge)
    gone = sum(doc_id not in cards and counting(judged.get(doc_id, ())) is None for doc_id in shown)
    return Results(query_id, text, query, columns, to_judge, left, gone, problem)


def arms_shown(runs: Runs, arm: str, against: str) -> list[str]:
    """Keyword search, the untrained search of its kind and `arm`, as far as measured; `against` is among them."""
    shown = list(dict.fromkeys(one for one in (BM25, untrained_of(arm), arm) if one in runs))
    return shown if against in shown else [*(one for one in shown if one != arm), against, arm]


def arm_choices(experiment: Experiment) -> list[tuple[str, str]]:
    """The measured cells with their names."""
    return [(name, arm_name(name)) for name in measured.runs_of(experiment)]


def _column(
    arm: str, found: list[str] | None, before: list[str] | None, cards: Mapping[str, Card],
    judged: Mapping[str, Sequence[Judgement]], value: float | None,
) -> Column:  # fmt: skip
    if found is None:
        problem = "The stored results of this search are not on the disk any more."
        return Column(arm, arm_name(arm), [], value, 0, problem)
    entries = [
        _entry(rank, doc_id, cards.get(doc_id), judged.get(doc_id, ()), before)
        for rank, doc_id in enumerate(found[:SHOWN], 1)
    ]
    unjudged = sum(not entry.is_counted for entry in entries)
    return Column(arm, arm_name(arm), entries, value, unjudged, "")


def _entry(rank: int, doc_id: str, card: Card | None, judged: Sequence[Judgement], before: list[str] | None) -> Entry:
    counts = counting(judged)
    shown = counts or next(iter(judged), None)
    move = _move(rank, doc_id, before) if before is not None else None
    return Entry(rank, doc_id, card, shown.grade if shown else None, counts is not None, move)


def _move(rank: int, doc_id: str, before: list[str]) -> Move:
    was = before.index(doc_id) + 1 if doc_id in before else 0
    if not was:
        return Move("new", f"new: not among the first {_DEPTH} before")
    if was == rank:
        return Move("same", "same place as before")
    places = abs(was - rank)
    return Move("up" if rank < was else "down", f"{places} {'place' if places == 1 else 'places'}, from {was}")


def _hits(path: Path, query_id: str) -> list[str] | None:
    try:
        return first_hits(path, query_id, _DEPTH)
    except SptarError:
        return None


def _problem(query: Query | None, text: str) -> str:
    if query is None:
        return "This question has been removed from the examples since, so its results cannot be judged any more."
    if " ".join(query.text.split()) != " ".join(text.split()):
        return "This question has been reworded since. These results answer the old words, so they are not judged here."
    return ""


def _is_open(doc_id: str, judged: Mapping[str, Sequence[Judgement]]) -> bool:
    """Whether a document is to be judged here, or was judged here and may be changed."""
    rows = judged.get(doc_id, ())
    return not rows or rows[0].source in FROM_HERE


def _shuffled(doc_ids: Sequence[str], query_id: str) -> list[str]:
    """An order that tells nothing of which search found a document, and where."""
    return sorted(doc_ids, key=lambda doc_id: sha256(f"{query_id}:{doc_id}".encode()).hexdigest())
