"""Generated questions row by row, with what became of them, for files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from webapp.models import StageRun, State, User, Verdict, WeakQuery
from webapp.selectors.questions import CLEANED_UP, dropped_by, threshold_in

COLUMNS = (
    "question", "doc_id", "verdict", "reason", "kept", "generated", "arm", "rank", "loss", "dropped", "reviewer",
    "reviewed_at", "promoted", "experiment", "batch", "weak_id",
)  # fmt: skip
"""`question` is what counts now, an edit where there is one; `generated` is what the question writer wrote. `dropped`
and `kept` are by the threshold of this experiment, whatever others do with the same questions."""

Row = dict[str, str | int | float | bool | None]

_AT_ONCE = 2000  # rows read together
_NEEDED = (
    "id", "weak_id", "doc_id", "text", "rank", "loss", "dropped", "verdict", "edited", "reason", "reviewer_id",
    "reviewed_at", "promoted_id", "promoted__query_id",
)  # fmt: skip


def question_rows(stage: StageRun) -> Iterator[Row]:
    """The questions of a finished generate step, in the order they were written. Holds some thousand rows at a time."""
    people: dict[int, str] = {}
    top_k = _threshold(stage)
    rows = WeakQuery.objects.filter(project_id=stage.experiment.project_id, batch=stage.folder).order_by("id")
    last = 0
    while some := list(rows.filter(id__gt=last).values(*_NEEDED)[:_AT_ONCE]):
        last = some[-1]["id"]
        unknown = {row["reviewer_id"] for row in some} - people.keys() - {None}
        people.update({user.pk: str(user) for user in User.objects.filter(pk__in=unknown)})
        for row in some:
            row["dropped"] = dropped_by(top_k, row["dropped"], row["rank"])
            yield _row(stage, row, people)


def is_kept(row: Row) -> bool:
    """Whether a question takes part in training: by its verdict where there is one, else by clean-up and filter.

    What clean-up dropped never does.
    """
    if row["verdict"] == Verdict.REJECT or row["dropped"] in CLEANED_UP:
        return False
    return row["verdict"] in (Verdict.ACCEPT, Verdict.EDIT) or not row["dropped"]


def _threshold(stage: StageRun) -> int | None:
    """That of the experiment's filter of these questions; None while it has not run, and where it has none."""
    rows = StageRun.objects.filter(experiment=stage.experiment_id, stage="filter", state=State.DONE)
    found = [row for row in rows.only("arms", "config").order_by("position") if set(row.arms) & set(stage.arms)]
    return threshold_in(found[0].config) if found else None


def _row(stage: StageRun, row: dict[str, Any], people: dict[int, str]) -> Row:
    edited = row["verdict"] == Verdict.EDIT and row["edited"]
    made: Row = {
        "question": row["edited"] if edited else row["text"],
        "doc_id": row["doc_id"],
        "verdict": row["verdict"],
        "reason": row["reason"],
        "generated": row["text"],
        "arm": stage.arms[0],
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
