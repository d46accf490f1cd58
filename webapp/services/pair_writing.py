"""Writes checked rows of a file as questions and judgements."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import F

from sptar_engine.data.beir import SPLITS
from webapp.chunks import chunks
from webapp.models import Judgement, Project, Query, User
from webapp.reading.pairs import PairRow
from webapp.services import guidelines
from webapp.services.decisions import Fence, Step, step
from webapp.services.pair_checks import Checked, Tick, against_project
from webapp.services.queries import new_ids

_UNDOABLE = 20_000  # pairs of an import that is one step; a larger one is written in pieces and not undone at once
_BATCH = 5_000  # pairs in one transaction of a large import, so that others can write in between


def write(
    *, project: Project, checked: Checked, actor: User | None, label: str, tick: Tick = lambda done: None,
    fence: Fence = transaction.atomic,
) -> dict[str, Any]:  # fmt: skip
    """Write checked rows, checked once more against the project in the transaction that writes them.

    Up to 20,000 pairs are one step that can be taken back; more are written in pieces.
    """
    undoable = checked.pairs <= _UNDOABLE
    made: Counter[str] = Counter()
    left_out: Counter[str] = Counter(checked.bad.counts)
    done = 0
    for keys in _batches(checked, _UNDOABLE if undoable else _BATCH):
        some = Checked({key: checked.good[key] for key in keys})
        with step(
            project=project, actor=actor, kind="example.imported", label=label, fence=fence, undoable=undoable,
            queries=partial(_known_ids, project, keys),
        ) as doing:  # fmt: skip
            checked_now = against_project(project, some)
            counts = _write(project, checked_now, actor, doing)
            doing.facts.update(counts)
        made.update(counts)
        left_out.update(checked_now.bad.counts)
        done += some.pairs
        tick(done)
    return {"questions": made["questions"], "pairs": made["pairs"], "left_out": dict(left_out), "undoable": undoable}


def _write(project: Project, checked: Checked, actor: User | None, doing: Step) -> dict[str, int]:
    known = _known(project, checked.good)
    new = {key: rows[0] for key, rows in checked.good.items() if key not in known}
    with_id = [_question(project, key, row, row.query_id, actor) for key, row in new.items() if row.query_id]
    Query.objects.bulk_create(with_id, batch_size=500)
    # After these, so that no id is made that the file itself has given.
    unnamed = {key: row for key, row in new.items() if not row.query_id}
    ids = new_ids(project, [row.query for row in unnamed.values()])
    named = [
        _question(project, key, row, query_id, actor)
        for (key, row), query_id in zip(unnamed.items(), ids, strict=True)
    ]  # fmt: skip
    Query.objects.bulk_create(named, batch_size=500)
    queries = [*with_id, *named]
    doing.made["query"] += [row.pk for row in queries]
    pks = known | {row.normalised: row.pk for row in queries}
    _fix_splits(checked, known)
    guideline = guidelines.current(project)
    judgements = [
        Judgement(
            query_id=pks[key], doc_id=row.doc_id, grade=row.grade, judge=actor, source="import", guideline=guideline
        )
        for key, rows in checked.good.items() for row in rows if row.doc_id
    ]  # fmt: skip
    Judgement.objects.bulk_create(judgements, batch_size=500)
    return {"questions": len(queries), "pairs": len(judgements)}


def _question(project: Project, key: str, row: PairRow, query_id: str, actor: User | None) -> Query:
    return Query(
        project=project, query_id=query_id, text=row.query, normalised=key, origin="imported", author=actor,
        split=row.split, split_fixed=bool(row.split),
        status=Query.Status.DONE if row.doc_id else Query.Status.OPEN,
    )  # fmt: skip


def _fix_splits(checked: Checked, known: Mapping[str, int]) -> None:
    for split in SPLITS:
        ids = [known[key] for key, rows in checked.good.items() if key in known and rows[0].split == split]
        for some in chunks(ids):
            Query.objects.filter(pk__in=some, split_fixed=False).update(
                split=split, split_fixed=True, revision=F("revision") + 1
            )


def _known_ids(project: Project, keys: Collection[str]) -> list[int]:
    return list(_known(project, keys).values())


def _known(project: Project, keys: Iterable[str]) -> dict[str, int]:
    """Rows of those questions that the project has, by key."""
    found: dict[str, int] = {}
    for some in chunks(keys):
        rows = Query.objects.filter(project=project, normalised__in=some)
        found.update(rows.values_list("normalised", "pk"))
    return found


def _batches(checked: Checked, pairs: int) -> Iterator[list[str]]:
    """Keys of questions with about so many pairs."""
    batch: list[str] = []
    held = 0
    for key, rows in checked.good.items():
        batch.append(key)
        held += len(rows)
        if held >= pairs:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch
