"""Generated questions row by row, with what became of them, for files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sptar_engine.artifacts import read_jsonl
from sptar_engine.data.weak import RANKS_FILE
from sptar_engine.errors import StageError
from webapp.models import StageRun, State, User, Verdict, WeakQuery
from webapp.selectors.artifacts import stage_folder
from webapp.selectors.questions import CLEANED_UP, dropped_by, method_of, threshold_in
from webapp.selectors.review_batches import filters_of

COLUMNS = (
    "question", "doc_id", "verdict", "reason", "kept", "generated", "arm", "rank", "loss", "dropped", "reviewer",
    "reviewed_at", "promoted", "experiment", "batch", "weak_id",
)  # fmt: skip
"""`question` is what counts now, an edit where there is one; `generated` is what the question writer wrote. `dropped`
and `kept` are by the filter of this arm and experiment, whatever others do with the same questions."""

Row = dict[str, str | int | float | bool | None]

_AT_ONCE = 2000  # rows read together
_NEEDED = (
    "id", "weak_id", "doc_id", "text", "rank", "loss", "dropped", "verdict", "edited", "reason", "reviewer_id",
    "reviewed_at", "promoted_id", "promoted__query_id",
)  # fmt: skip


def question_rows(stage: StageRun, arm: str) -> Iterator[Row]:
    """The questions of an arm of a finished generate step, in the order they were written.

    Holds some thousand rows at a time, and of those that filters of several kinds have seen why each was dropped.
    """
    people: dict[int, str] = {}
    decide = _rule(stage, arm)
    rows = WeakQuery.objects.filter(project_id=stage.experiment.project_id, batch=stage.folder).order_by("id")
    last = 0
    while some := list(rows.filter(id__gt=last).values(*_NEEDED)[:_AT_ONCE]):
        last = some[-1]["id"]
        unknown = {row["reviewer_id"] for row in some} - people.keys() - {None}
        people.update({user.pk: str(user) for user in User.objects.filter(pk__in=unknown)})
        for row in some:
            row["dropped"] = decide(row)
            yield _row(stage, arm, row, people)


def is_kept(row: Row) -> bool:
    """Whether a question takes part in training: by its verdict where there is one, else by clean-up and filter.

    What clean-up dropped never does.
    """
    if row["verdict"] == Verdict.REJECT or row["dropped"] in CLEANED_UP:
        return False
    return row["verdict"] in (Verdict.ACCEPT, Verdict.EDIT) or not row["dropped"]


def _rule(stage: StageRun, arm: str) -> Callable[[Mapping[str, Any]], str]:
    """Why the arm's own filter drops a question, as it is in the database; nothing while that filter has not run."""
    rows = StageRun.objects.filter(experiment=stage.experiment_id, stage="filter", state=State.DONE).defer("traceback")
    filtered = next(
        (row for row in rows.order_by("position") if arm in row.arms and row.variant == stage.variant), None
    )
    reasons = _own_reasons(stage, filtered) if filtered else {}
    if reasons is not None:
        return lambda row: row["dropped"] if row["dropped"] in CLEANED_UP else reasons.get(row["weak_id"], "")
    top_k = threshold_in(filtered.config) if filtered else None
    return lambda row: dropped_by(top_k, row["dropped"], row["rank"])


def _own_reasons(stage: StageRun, filtered: StageRun) -> dict[str, str] | None:
    """What a filter said itself of the questions that it dropped, by weak id.

    None where the rows tell it: no filter of another kind has seen them. Raises StageError when its file is gone: the
    rows would tell of another filter.
    """
    project = stage.experiment.project
    if all(_seen_by(one) == _seen_by(filtered) for one in filters_of(project, stage.folder)):
        return None
    folder = stage_folder(project, filtered)
    if folder is None or not (folder / RANKS_FILE).is_file():
        raise StageError(f"The file {RANKS_FILE} of a finished filter is gone; run the experiment exactly again.")
    return {one["weak_id"]: sys.intern(one["reason"]) for one in read_jsonl(folder / RANKS_FILE) if one["reason"]}


def _seen_by(filtered: StageRun) -> dict[str, Any]:
    """What the rows depend on: of keyword search they hold the ranks, so that any threshold can be told."""
    without = {"threads", "top_k"} if method_of(filtered.config) == "bm25" else {"threads"}
    return {name: value for name, value in filtered.config.items() if name not in without}


def _row(stage: StageRun, arm: str, row: dict[str, Any], people: dict[int, str]) -> Row:
    edited = row["verdict"] == Verdict.EDIT and row["edited"]
    made: Row = {
        "question": row["edited"] if edited else row["text"],
        "doc_id": row["doc_id"],
        "verdict": row["verdict"],
        "reason": row["reason"],
        "generated": row["text"],
        "arm": arm,
        "rank": row["rank"],
        "loss": row["loss"],
        "dropped": row["dropped"],
        "reviewer": people.get(row["reviewer_id"], ""),
        "reviewed_at": row["reviewed_at"].isoformat() if row["reviewed_at"] else "",
        "promoted": row["promoted__query_id"] or "",
        "experiment": stage.experiment.number,
        "batch": stage.folder,
        "weak_id": row["weak_id"],
    }
    made["kept"] = is_kept(made)
    return {name: made[name] for name in COLUMNS}
