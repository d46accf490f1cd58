"""The three searches of the playground, asked at once; none waits for another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass
from functools import partial
from typing import Any

from webapp.models import Corpus, Project
from webapp.search import client
from webapp.search.client import SearchUnavailable
from webapp.selectors.trained_models import TrainedModel

BM25, BEFORE, AFTER = "bm25", "before", "after"
COLUMNS = (BM25, BEFORE, AFTER)
DEPTH = 100
"""Documents of each search that are looked through for where one stood before."""

_Options = frozenset[tuple[str, Any]]
_PATIENT = 1.5  # seconds that the page waits for a search; a slower one comes by itself when it is there
_POOL = ThreadPoolExecutor(12, thread_name_prefix="playground")
"""Asks the search service, never the database: three questions a page, each with its own time limits."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one search said. `state` is ready, building, absent, failed, busy, down, slow, missing or refused."""

    state: str
    ranking: Sequence[str] = ()
    milliseconds: float = 0.0
    problem: str = ""
    done: int = 0
    total: int = 0


def searches_of(model: TrainedModel | None) -> dict[str, dict[str, Any] | None]:
    """What the search service is asked for each column; None for the one that there is no model for."""
    # Keyword search is ready within seconds, so a look may begin it; encoding takes hours, and a person decides.
    if model is None:
        return {BM25: {"retriever": client.BM25}, BEFORE: {"retriever": client.BASE, "begin": False}, AFTER: None}
    return {
        BM25: {"retriever": client.BM25},
        BEFORE: _look(model.asked_before),
        AFTER: _look(model.asked_after),
    }


def _look(asked: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if asked is None else {**asked, "begin": False}


def search(project: Project, text: str, wanted: Mapping[str, dict[str, Any] | None]) -> dict[str, Outcome]:
    """Ask for all at once. One that takes long is `slow` and holds the others up no further."""
    corpus = project.corpus
    if corpus is None:
        return {key: Outcome("absent", problem="There are no documents yet.") for key in wanted}
    corpus.project = project  # else the threads would ask the database for it
    asked: dict[_Options, Future[Outcome]] = {}
    for options in wanted.values():
        if options is not None and _same(options) not in asked:
            asked[_same(options)] = _POOL.submit(partial(_ask, corpus, text, options))
    return {key: _MISSING if options is None else _taken(asked[_same(options)]) for key, options in wanted.items()}


def _same(options: Mapping[str, Any]) -> _Options:
    """What is the same for options that ask for the same."""
    return frozenset(options.items())


def _ask(corpus: Corpus, text: str, options: Mapping[str, Any]) -> Outcome:
    try:
        found = client.find(corpus, text, depth=DEPTH, **options)
    except SearchUnavailable as error:
        return Outcome(error.reason, problem=str(error), done=error.done, total=error.total)
    return Outcome("ready", [hit.doc_id for hit in found.hits], found.milliseconds)


def _taken(future: Future[Outcome]) -> Outcome:
    try:
        return future.result(_PATIENT)
    except NotYet:
        return Outcome("slow", problem="This search takes longer than usual; its documents come by themselves.")


_MISSING = Outcome("missing")
