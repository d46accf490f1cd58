"""One action on all examples that pass a filter."""

from __future__ import annotations

from collections.abc import Callable, Mapping

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
    act, words = _known(action)
    preview(project=project, chosen=chosen, action=action)
    ids = list(chosen.apply(project).order_by("pk").values_list("pk", flat=True))
    with step(
        project=project, actor=actor, kind="example.bulk", label=f"{words}: {len(ids)} examples", queries=ids,
        action=action, examples=len(ids),
    ):  # fmt: skip
        # Looked up again now that nobody else can write.
        now = list(chosen.apply(project).order_by("pk").values_list("pk", flat=True))
        if now != ids or len(now) != expected:
            raise Conflict(
                f"The filter matched {expected} examples when you looked and matches {len(now)} now. Nothing was "
                "changed; look once more."
            )
        for some in chunks(ids):
            act(some)
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


ACTIONS: Mapping[str, tuple[Act, str]] = {
    "finish": (_set(status=Query.Status.DONE, skip_reason=""), "Finished"),
    "reopen": (_set(status=Query.Status.OPEN, skip_reason=""), "Took up again"),
    "flag": (_set(flagged=True), "Flagged"),
    "unflag": (_set(flagged=False), "Took the flag off"),
    **{f"split-{split.value}": (_split(split.value), f"Split {split.label.lower()}") for split in Split},
    "split-auto": (_split(""), "Split chosen by the app"),
    "delete": (_delete, "Deleted"),
}


def _known(action: str) -> tuple[Act, str]:
    if action not in ACTIONS:
        raise ValidationError(f"“{action[:40]}” is no action.")
    return ACTIONS[action]
