"""Splits: as the engine makes them, stable, and never over a person's choice."""

from __future__ import annotations

from collections import Counter

import pytest

from sptar_engine.data.splits import assign_splits
from sptar_engine.records import Query as EngineQuery
from webapp.models import Project, Query, User
from webapp.services import queries, splits


def add(project: Project, owner: User, count: int, start: int = 0) -> None:
    made = [
        Query(
            project=project, query_id=f"q{number}", text=f"question {number}", relevant=1, author=owner,
            normalised=queries.text_key(f"question {number}"),
        )
        for number in range(start, start + count)
    ]  # fmt: skip
    Query.objects.bulk_create(made)
    splits.assign(project)


def now(project: Project) -> dict[str, str]:
    return dict(Query.objects.filter(project=project).values_list("query_id", "split"))


def test_fifty_are_split_as_the_engine_splits_them(project: Project, owner: User) -> None:
    add(project, owner, 50)
    engine = assign_splits([EngineQuery(row.query_id, row.text) for row in Query.objects.all()], splits.SEED)
    assert now(project) == engine
    assert Counter(engine.values()) == {"train": 20, "dev": 10, "test": 20}


def test_seventeen_are_too_few_and_eighteen_are_enough(project: Project, owner: User) -> None:
    add(project, owner, 17)
    assert set(now(project).values()) == {""}
    add(project, owner, 1, start=17)
    assert Counter(now(project).values()) == {"train": 8, "dev": 4, "test": 6}


def test_one_more_moves_at_most_two_and_none_between_train_and_held_out(project: Project, owner: User) -> None:
    add(project, owner, 18)
    for number in range(18, 80):
        before = now(project)
        add(project, owner, 1, start=number)
        moved = [(before[key], after) for key, after in now(project).items() if key in before and before[key] != after]
        assert len(moved) <= 2
        assert {"train", "dev"} not in [set(move) for move in moved]


def test_a_chosen_split_stays_and_the_others_fill_up(project: Project, owner: User) -> None:
    add(project, owner, 50)
    chosen = list(Query.objects.filter(split="test").values_list("pk", flat=True)[:15])
    Query.objects.filter(pk__in=chosen).update(split="train", split_fixed=True)
    splits.assign(project)
    assert set(Query.objects.filter(pk__in=chosen).values_list("split", flat=True)) == {"train"}
    assert Counter(now(project).values()) == {"train": 20, "dev": 10, "test": 20}


def test_a_split_that_is_chosen_while_others_are_placed_stays(
    project: Project, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(project, owner, 50)
    Query.objects.update(split="")

    def slow(texts: int, counts: dict[str, int]) -> list[str]:
        Query.objects.filter(query_id="q3").update(split="test", split_fixed=True)
        return ["train"] * texts

    monkeypatch.setattr(splits, "_places", slow)
    assert splits.assign(project)
    assert now(project)["q3"] == "test"
    assert Counter(now(project).values()) == {"train": 49, "test": 1}


def test_more_fixed_than_its_share_leaves_the_rest_to_the_others(project: Project, owner: User) -> None:
    add(project, owner, 50)
    Query.objects.update(split="train", split_fixed=True)
    add(project, owner, 20, start=50)
    # Of 70: 25 train, 15 held-out, 30 test; 50 are train already, so the 20 go half and half.
    assert Counter(now(project).values()) == {"train": 50, "dev": 10, "test": 10}


def test_what_is_no_example_has_no_split(project: Project, owner: User) -> None:
    add(project, owner, 20)
    gone, skipped = Query.objects.order_by("pk")[:2]
    Query.objects.filter(pk=gone.pk).update(relevant=0)
    Query.objects.filter(pk=skipped.pk).update(status=Query.Status.SKIPPED)
    splits.assign(project)
    assert Query.objects.filter(pk__in=[gone.pk, skipped.pk], split="").count() == 2
    assert Counter(now(project).values())["train"] == 8
