"""Filters and pages of the list, against all questions compared one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.webapp.review.conftest import BATCH
from webapp.models import Project, User, WeakQuery
from webapp.selectors import review_list
from webapp.selectors.review_list import Count, Filter

Ids = list[int]


@pytest.fixture
def rows(write: Callable[..., list[WeakQuery]], owner: User, reviewer: User) -> list[WeakQuery]:
    """Ninety questions of every kind."""
    made = write(*(f"{'How' if number % 3 else 'What'} about topic {number % 10}" for number in range(90)))
    for number, row in enumerate(made):
        row.verdict = ("", "accept", "reject", "edit", "unsure")[number % 5]
        row.dropped = ("", "", "rank", "duplicate")[number % 4]
        row.reason = "vague" if row.verdict == "reject" and number % 2 else ""
        row.rank = None if number % 7 == 0 else number
        row.reviewer = None if row.verdict == "" else (owner if number % 2 else reviewer)
        row.disputed = number % 6 == 1
    WeakQuery.objects.bulk_update(made, ["verdict", "dropped", "reason", "rank", "reviewer", "disputed"])
    return made


def passes(row: WeakQuery, **values: Any) -> bool:
    """What a filter means, row by row."""
    return all(
        {
            "text": lambda value: value.lower() in row.text.lower(),
            "verdict": lambda value: row.verdict == ("" if value == "none" else value),
            "kept": lambda value: row.dropped == ("" if value == "yes" else value),
            "reason": lambda value: row.reason == value,
            "who": lambda value: row.reviewer_id == value,
            "rank": lambda value: row.rank is None or row.rank >= value,
            "disputed": lambda value: row.disputed,
        }[name](value)
        for name, value in values.items()
    )


FILTERS: list[dict[str, Any]] = [
    {}, {"text": "HOW"}, {"verdict": "none"}, {"verdict": "accept"}, {"kept": "yes"}, {"kept": "rank"},
    {"verdict": "reject", "kept": "yes"}, {"verdict": "reject", "kept": "duplicate", "reason": "vague"},
    {"disputed": True}, {"disputed": True, "verdict": "none", "kept": "yes"}, {"rank": 40}, {"rank": 100_000},
    {"text": "topic 3", "verdict": "edit", "rank": 10},
]  # fmt: skip


def walk(project: Project, chosen: Filter, *, backwards: bool = False) -> tuple[Ids, int]:
    """The ids of all pages, and how many pages there are."""
    found: Ids = []
    place: dict[str, int | None] = {"before": 10**9} if backwards else {}
    for number in range(1, 100):
        page = review_list.page(project, BATCH, chosen, **place)
        ids = [row.pk for row in page.rows]
        found = ids + found if backwards else found + ids
        following = page.previous if backwards else page.following
        if following is None:
            return found, number
        place = {"before" if backwards else "after": following}
    raise AssertionError("the pages never end")


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("look", [7, 10_000])
@pytest.mark.parametrize("values", FILTERS, ids=str)
def test_pages_show_what_passes_once_in_order(
    project: Project, rows: list[WeakQuery], values: dict[str, Any], look: int, backwards: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(review_list, "PAGE", 9)
    monkeypatch.setattr(review_list.matching, "__kwdefaults__", {**review_list.matching.__kwdefaults__, "look": look})
    ids, _ = walk(project, Filter(**values), backwards=backwards)
    assert ids == [row.pk for row in rows if passes(row, **values)]


def test_the_reviewer_is_a_filter(project: Project, rows: list[WeakQuery], reviewer: User) -> None:
    ids, _ = walk(project, Filter(who=reviewer.pk))
    assert ids == [row.pk for row in rows if row.reviewer_id == reviewer.pk]


def test_pages_can_be_turned_back(project: Project, rows: list[WeakQuery], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(review_list, "PAGE", 20)
    first = review_list.page(project, BATCH, Filter())
    second = review_list.page(project, BATCH, Filter(), after=first.following)
    assert (first.previous, second.previous) == (None, rows[20].pk)
    back = review_list.page(project, BATCH, Filter(), before=second.previous)
    assert [row.pk for row in back.rows] == [row.pk for row in first.rows]
    assert back.previous is None
    assert review_list.page(project, BATCH, Filter(), after=back.following).rows == second.rows


def test_an_index_answers_in_one_look_and_other_filters_say_when_they_are_cut(
    project: Project, rows: list[WeakQuery], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(review_list.matching, "__kwdefaults__", {**review_list.matching.__kwdefaults__, "look": 10})
    assert not review_list.page(project, BATCH, Filter(verdict="accept")).is_cut
    cut = review_list.page(project, BATCH, Filter(text="topic 3"))
    assert (len(cut.rows), cut.is_cut, cut.following) == (1, True, rows[9].pk)


@pytest.mark.parametrize(
    ("chosen", "limit", "look", "wanted"),
    [
        (Filter(), 100, 1000, Count(90, True)),
        (Filter(), 50, 1000, Count(50, False)),
        (Filter(text="topic 3"), 100, 1000, Count(9, True)),
        (Filter(text="topic 3"), 100, 20, Count(2, False)),
    ],
)
def test_counts_are_bounded_and_say_so(
    project: Project, rows: list[WeakQuery], chosen: Filter, limit: int, look: int, wanted: Count
) -> None:
    assert review_list.count(project, BATCH, chosen, limit=limit, look=look) == wanted


@pytest.mark.parametrize(
    ("how", "wanted"),
    [
        ("same", ["How long is a loan?", "how  long is a loan"]),
        ("near", ["How long is a loan?", "how  long is a loan", "how long is a loan here"]),
        ("start", ["How long is a loan?", "how  long is a loan", "how long is a loan here", "how long is the queue"]),
        ("short", ["How long is a loan?", "how  long is a loan", "how long is the queue", "why"]),
    ],
)
def test_questions_are_alike_in_several_ways(
    project: Project, write: Callable[..., list[WeakQuery]], how: str, wanted: list[str]
) -> None:
    made = write(
        "How long is a loan?", "how  long is a loan", "how long is a loan here", "how long is the queue", "why",
        "what may be renewed more than twice",
    )  # fmt: skip
    ids, _ = walk(project, Filter(like=made[0].pk, how=how))
    assert [row.text for row in made if row.pk in ids] == wanted


def test_nothing_is_like_a_question_that_is_not_there(project: Project, weak: list[WeakQuery]) -> None:
    assert walk(project, Filter(how="same")) == ([], 1)
    assert walk(project, Filter(how="same", like=10**9)) == ([], 1)


def test_a_page_takes_one_query_for_ids_and_one_for_rows(
    project: Project, rows: list[WeakQuery], django_assert_max_num_queries: Callable[..., Any]
) -> None:
    with django_assert_max_num_queries(2):
        review_list.page(project, BATCH, Filter(verdict="accept", kept="yes"))
    with django_assert_max_num_queries(3):
        review_list.page(project, BATCH, Filter(text="topic"))
