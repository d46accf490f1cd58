"""One action on all examples that pass a filter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.db.models import F

from webapp.chunks import chunks
from webapp.models import Project, Query, Split, User
from webapp.selectors.examples import Filter, count
from webapp.services.decisions import MAX_QUERIES, Conflict, step

Act = Callable[[list[int]], object]


def preview(*, project: Project, chosen: Filter, action: str) -> int:
    """How many examples an action would change. Raises ValidationError when that is too many for one step."""
    _known(action)
    found = count(project, chosen, MAX_QUERIES)
    if found > MAX_QUERIES:
        raise ValidationError(
            f"More than {MAX_QUERIES:,} examples match; one step takes at most that many, so that it can be undone. "
            "Narrow the filter."
        )
    return found


def apply(*, project: Project, chosen: Filter, action: str, expected: int, actor: User) -> int:
    """Do it. Raises Conflict when no longer `expected` examples match, so that nothing unseen is changed."""
    chosen_action = _known(action)
    preview(project=project, chosen=chosen, action=action)
    ids = list(chosen.apply(project).order_by("pk").values_list("pk", flat=True))
    with step(
        project=project, actor=actor, kind="example.bulk", label=f"{chosen_action.done}: {len(ids)} examples",
        queries=ids, action=action, words=chosen_action.done.lower(), examples=len(ids),
    ):  # fmt: skip
        # Looked up again now that nobody else can write.
        now = list(chosen.apply(project).order_by("pk").values_list("pk", flat=True))
        if now != ids or len(now) != expected:
            raise Conflict(
                f"The filter matched {expected} examples when you looked and matches {len(now)} now. Nothing was "
                "changed; look once more."
            )
        for some in chunks(ids):
            chosen_action.act(some)
    return len(ids)


def _split(value: str) -> Act:
    fixed = bool(value)
    # Given back to the app, an example keeps its split until the app has decided.
    chosen = {"split": value} if value else {}
    return lambda ids: (
        Query.objects.filter(pk__in=ids)
        .exclude(status=Query.Status.SKIPPED)
        .update(split_fixed=fixed, revision=F("revision") + 1, **chosen)
    )


def _set(**values: object) -> Act:
    return lambda ids: Query.objects.filter(pk__in=ids).update(revision=F("revision") + 1, **values)


def _delete(ids: list[int]) -> object:
    return Query.objects.filter(pk__in=ids).delete()


@dataclass(frozen=True, slots=True)
class Action:
    """What can be done to many examples: the order (for the button), and what was done (for the strip)."""

    act: Act
    order: str
    done: str


ACTIONS: Mapping[str, Action] = {
    "finish": Action(_set(status=Query.Status.DONE, skip_reason=""), "Mark as finished", "Finished"),
    "reopen": Action(_set(status=Query.Status.OPEN, skip_reason=""), "Take up again", "Took up again"),
    "flag": Action(_set(flagged=True), "Flag", "Flagged"),
    "unflag": Action(_set(flagged=False), "Take the flag off", "Took the flag off"),
    **{
        f"split-{split.value}": Action(
            _split(split.value), f"Use for: {split.label.lower()}", f"Use {split.label.lower()}"
        )
        for split in Split
    },
    "split-auto": Action(_split(""), "Let the app choose the split", "Split chosen by the app"),
    "delete": Action(_delete, "Delete", "Deleted"),
}


def _known(action: str) -> Action:
    if action not in ACTIONS:
        raise ValidationError(f"“{action[:40]}” is no action.")
    return ACTIONS[action]
