"""Generated questions as rows: read from the shards while generate runs, completed from its result when it is done.

Rows are named by (project, batch, weak_id), so that reading a shard or a result twice adds nothing; the batch is the
folder name of the result, the same for all experiments that use it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from hashlib import sha256
from itertools import chain, islice
from pathlib import Path
from typing import Any

from sptar_engine.artifacts import read_jsonl
from sptar_engine.data.weak import RANKS_FILE, WEAK_FILE
from sptar_engine.errors import ArtifactError
from sptar_engine.stage import SCRATCH
from webapp.chunks import AT_ONCE, chunks
from webapp.jobs.attempt import Attempt
from webapp.jobs.storing import storable
from webapp.models import Project, StageRun, WeakQuery
from webapp.selectors.review_batches import last_filter, precedence

DROPPED_FILE = "dropped.jsonl"

_SHARDS = 20  # shards read at one report: pages see the questions grow, and no report takes long
_LONGEST = 2000  # characters kept of what clean-up dropped
_WORST_RANK = 100  # beyond, or not found at all, no rank says more: the depth of the filter
_USUAL = 0.5  # the part of the loss while it is unknown
_DRAWS = 2**31  # what a positive integer of the database holds


class Questions:
    """The questions of one generate stage."""

    def __init__(self, attempt: Attempt, project: Project, stages: Path, batch: str) -> None:
        """`stages` is the store's folder with results and attempts; `batch` the name of the result to be."""
        self._attempt, self._project = attempt, project
        self._stages, self._batch = stages, batch
        self._seen: set[str] = set()

    def collect(self) -> None:
        """Add the questions of shards that are new; to be called inside the attempt's transaction."""
        shards = sorted(self._stages.glob(f"{self._batch}.attempt-*/{SCRATCH}/shard-*.jsonl"))
        for shard in islice((one for one in shards if one.name not in self._seen), _SHARDS):
            try:
                drafts = list(read_jsonl(shard))
            except ArtifactError:  # moved to the next attempt's folder, or broken: the result will tell
                continue
            self._insert(self._row(one, one["query"] or one["raw"], one["reason"]) for one in drafts)
            self._seen.add(shard.name)

    def complete(self, folder: Path) -> None:
        """Make the rows what the finished result says, whatever of it was added before."""
        kept = (self._row(one, one["query"], "") for one in read_jsonl(folder / WEAK_FILE))
        dropped = (self._row(one, one["raw"], one["reason"]) for one in read_jsonl(folder / DROPPED_FILE))
        known: set[str] = set()
        for rows in chunks(chain(kept, dropped)):
            known.update(row.weak_id for row in rows)
            with self._attempt.transaction():
                self._insert(rows)
            self._attempt.check()
        self._remove_others(known)

    def _remove_others(self, known: set[str]) -> None:
        """Remove rows of a shard that was written anew with other words; a person's verdict keeps a row."""
        rows = WeakQuery.objects.filter(project=self._project, batch=self._batch, verdict="")
        odd = [pk for pk, weak_id in rows.values_list("pk", "weak_id").iterator() if weak_id not in known]
        for some in chunks(odd):
            with self._attempt.transaction():
                WeakQuery.objects.filter(pk__in=some).delete()

    def _insert(self, rows: Iterable[WeakQuery]) -> None:
        WeakQuery.objects.bulk_create(rows, batch_size=AT_ONCE, ignore_conflicts=True)

    def _row(self, one: Mapping[str, Any], text: str, dropped: str) -> WeakQuery:
        weak_id = one["weak_id"]
        return WeakQuery(
            project=self._project, batch=self._batch, weak_id=weak_id, doc_id=one["doc_id"], dropped=dropped,
            text=storable(text.strip()[:_LONGEST]), loss=one.get("loss"), draw=draw(weak_id),
        )  # fmt: skip


def draw(weak_id: str) -> int:
    """A random number below 2^31 that depends on the id alone: the smallest of a batch are its random sample."""
    return int(sha256(weak_id.encode()).hexdigest()[:16], 16) % _DRAWS


def risk(rank: int | None, loss: float | None) -> float:
    """How likely a question is bad, 0 to 1: the mean of two parts, each 0 to 1.

    By BM25: ln(rank) / ln(100), so that 0 is the first place, 0.5 the tenth, and 1 the hundredth, beyond and nowhere.
    By the question writer: 1 - exp(-loss), where exp(-loss) is the mean (geometric) probability of its own words; 0.5
    where the loss is not known. It orders a queue and is no probability.
    """
    by_rank = 1.0 if rank is None else math.log(min(max(rank, 1), _WORST_RANK)) / math.log(_WORST_RANK)
    by_writer = _USUAL if loss is None else 1 - math.exp(-max(loss, 0.0))
    return round((by_rank + by_writer) / 2, 4)


def mark_ranks(attempt: Attempt, filtered: StageRun, batch: str, folder: Path) -> None:
    """Write what a finished filter stage says of each question of `batch`: its rank, why it was dropped, its risk.

    Experiments that differ in the threshold share a batch, and so do arms that differ in the filter. The newest
    experiment's first arm has the word, so that an older one that is tried again changes nothing under the people who
    review, and it does not matter which of two filters ends last.
    """
    project = filtered.experiment.project
    for some in chunks(read_jsonl(folder / RANKS_FILE)):
        with attempt.transaction():
            last = last_filter(project, batch)
            if last is not None and precedence(last) > precedence(filtered):
                return
            _mark(project, batch, {one["weak_id"]: one for one in some})
        attempt.check()


def _mark(project: Project, batch: str, ranked: Mapping[str, Mapping[str, Any]]) -> None:
    rows = WeakQuery.objects.filter(project=project, batch=batch, weak_id__in=ranked)
    changed = []
    for row in rows.only("weak_id", "rank", "dropped", "loss", "risk"):
        found = ranked[row.weak_id]
        now = (found["rank"], found["reason"], risk(found["rank"], row.loss))
        if (row.rank, row.dropped, row.risk) != now:
            row.rank, row.dropped, row.risk = now
            changed.append(row)
    WeakQuery.objects.bulk_update(changed, ["rank", "dropped", "risk"], batch_size=AT_ONCE)
