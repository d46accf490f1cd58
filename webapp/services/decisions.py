"""Steps of the labelling. Each is one transaction that keeps the rows as they were, so that it can be taken back.

All writers of one project's examples wait for each other: a step begins by locking the project's row.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

from django.db import models, transaction
from django.db.models import F

from sptar_engine.artifacts import sha256_json
from webapp.chunks import chunks
from webapp.models import Decision, Judgement, Project, Query, SkippedDocument, User
from webapp.selectors.judgements import MIN_GRADE, PLAYGROUND
from webapp.services import counters, events, splits

Fence = Callable[[], AbstractContextManager[Any]]
"""Opens the transaction of a step: `transaction.atomic`, or an attempt's own (webapp.jobs.attempt)."""

MAX_QUERIES = 20_000
"""Questions that one step may change and still be taken back: their rows are kept in one JSON value."""

TABLES: dict[str, models.Manager[Any]] = {
    "query": Query.objects, "judgement": Judgement.objects, "skipped": SkippedDocument.objects,
}  # fmt: skip
_FIELDS = {
    "query": (
        "id", "query_id", "text", "normalised", "status", "split", "split_fixed", "skip_reason", "note", "flagged",
        "origin", "author_id", "revision", "created",
    ),
    "judgement": ("id", "query_id", "doc_id", "grade", "judge_id", "settled", "source", "guideline_id", "revision"),
    "skipped": ("id", "doc_id", "reason", "who_id"),
}  # fmt: skip
_NOT_CONTENT = {"id", "revision", "created", "guideline_id"}

Row = dict[str, Any]
Rows = dict[str, dict[int, Row]]


class Conflict(Exception):
    """Somebody else was faster. The text says who and what; nothing was written."""


@dataclass(slots=True)
class Step:
    """A step while it is being done. The writer names the rows it makes; changed ones are found by comparison."""

    project: Project
    actor: User | None
    label: str
    facts: dict[str, Any]
    made: dict[str, list[int]] = field(default_factory=lambda: {name: [] for name in TABLES})
    decision: Decision | None = None
    """Set when the step is over and has changed something."""


@contextmanager
def step(
    *,
    project: Project,
    actor: User | None,
    kind: str,
    label: str,
    queries: Collection[int] | Callable[[], Collection[int]] = (),
    skipped: Collection[int] = (),
    fence: Fence = transaction.atomic,
    undoable: bool = True,
    **facts: Any,
) -> Iterator[Step]:
    """Change examples in one transaction: counters, splits, event and labels_version are brought up to date after it.

    `queries` are the questions whose rows, judgements included, may change, or a function that finds them once nobody
    else can write; `kind` is the verb of the event. A step that changes nothing leaves nothing. One that is not
    `undoable` (too large) gets an event and no decision.
    """
    with fence():
        lock(project)
        known = list(queries() if callable(queries) else queries)
        before = rows_of(known, skipped) if undoable else {}
        doing = Step(project, actor, label, facts)
        yield doing
        if undoable:
            after = rows_of([*known, *doing.made["query"]], [*skipped, *doing.made["skipped"]])
            changes = _changes(before, after)
            if not any(changes.values()):
                return
            follow(project, before, after)
            if actor is not None:
                doing.decision = Decision.objects.create(
                    project=project, actor=actor, kind=kind, label=doing.label[:200], before=changes
                )
        else:
            bring_up_to_date(project, [*known, *doing.made["query"]])
        events.record(kind, project=project, actor=actor, **doing.facts)


def lock(project: Project) -> None:
    """Make other writers of this project's examples wait. Raises Project.DoesNotExist when it was deleted."""
    Project.objects.select_for_update().only("pk").get(pk=project.pk, deleted=None)


def bring_up_to_date(project: Project, queries: Collection[int]) -> None:
    """After a change of examples: their counters, the splits, and the number by which experiments notice."""
    counters.refresh(queries)
    splits.assign(project)
    _raise_version(project)


def follow(project: Project, before: Rows, after: Rows) -> None:
    """As `bring_up_to_date`, only as far as these rows (`rows_of` the questions, before and after) make it needed."""
    counters.refresh(after["query"].keys())
    # Placing looks at all examples of the project, which a click should not wait for.
    has_moved = _placement(before) != _placement(after) and splits.assign(project)
    if has_moved or _examples(before) != _examples(after):
        _raise_version(project)


def rows_of(queries: Collection[int], skipped: Collection[int] = ()) -> Rows:
    """Questions with their judgements, and skipped documents, as they are now."""
    judgements: dict[int, Row] = {}
    for some in chunks(queries):
        for row in Judgement.objects.filter(query_id__in=some).values(*_FIELDS["judgement"]):
            judgements[row["id"]] = _storable(row)
    return {"query": present("query", queries), "judgement": judgements, "skipped": present("skipped", skipped)}


def digest(table: str, row: Row) -> str:
    """What a row holds, in 16 digits: equal as long as nobody changes it. A split that the app chose is not in it."""
    content = {name: value for name, value in row.items() if name not in _NOT_CONTENT}
    if table == "query" and not row["split_fixed"]:
        content["split"] = ""
    return sha256(sha256_json(content).encode()).hexdigest()[:16]


def present(table: str, ids: Iterable[int]) -> dict[int, Row]:
    """The rows of a table as they are now, by id."""
    found: dict[int, Row] = {}
    for some in chunks(ids):
        for row in TABLES[table].filter(pk__in=some).values(*_FIELDS[table]):
            found[row["id"]] = _storable(row)
    return found


def _raise_version(project: Project) -> None:
    Project.objects.filter(pk=project.pk).update(labels_version=F("labels_version") + 1)


def _storable(row: Row) -> Row:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}


def _changes(before: Rows, after: Rows) -> dict[str, list[list[Any]]]:
    """For each row that differs: its id, what it was (None when it is new), and the digest of what it is."""
    changes: dict[str, list[list[Any]]] = {}
    for table, rows in after.items():
        was = before[table]
        ids = [pk for pk in {**was, **rows} if _differs(table, was.get(pk), rows.get(pk))]
        changes[table] = [[pk, was.get(pk), digest(table, rows[pk]) if pk in rows else None] for pk in ids]
    return changes


def _differs(table: str, one: Row | None, other: Row | None) -> bool:
    if one is None or other is None:
        return one is not other
    return digest(table, one) != digest(table, other)


def _examples(rows: Rows) -> dict[int, tuple[str, str, str, dict[str, int]]]:
    """What a snapshot reads of the rows: the questions that are examples, and the grades that count for them."""
    grades: dict[int, dict[str, int]] = {}
    for row in sorted(rows["judgement"].values(), key=lambda row: (not row["settled"], row["id"])):
        if row["source"] != PLAYGROUND:
            grades.setdefault(row["query_id"], {}).setdefault(row["doc_id"], row["grade"])
    return {
        pk: (row["query_id"], row["text"], row["split"], grades[pk])
        for pk, row in rows["query"].items()
        if row["status"] != Query.Status.SKIPPED and any(grade >= MIN_GRADE for grade in grades.get(pk, {}).values())
    }


def _placement(rows: Rows) -> dict[int, tuple[bool, str, bool]]:
    """What the splits of all examples depend on; a question that is no example and has no split counts for nothing."""
    examples = _examples(rows)
    found = {pk: (pk in examples, row["split"], row["split_fixed"]) for pk, row in rows["query"].items()}
    return {pk: place for pk, place in found.items() if any(place)}
