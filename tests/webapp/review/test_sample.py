"""What a random sample tells of all questions."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.webapp.review.conftest import BATCH
from webapp.models import BulkReview, Project, Review, User, WeakQuery
from webapp.selectors.review_sample import Sample, sample_of, wilson
from webapp.services import reviews


# Computed by hand from Wilson's formula with z = 1.959964: for 41 of 50, (0.82 + 0.038415) / 1.076829 = 0.797169 and
# 1.959964 * sqrt(0.82 * 0.18 / 50 + 0.076829 / 200) / 1.076829 = 0.105066.
@pytest.mark.parametrize(
    ("good", "n", "low", "high"),
    [(41, 50, 0.6921, 0.9022), (0, 50, 0.0, 0.0713), (50, 50, 0.9287, 1.0), (1, 2, 0.0945, 0.9055), (0, 0, 0, 1)],
)
def test_the_interval_is_wilsons(good: int, n: int, low: float, high: float) -> None:
    assert wilson(good, n) == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize(
    ("sample", "verdict", "sentence"),
    [
        (Sample(0, 0, 0, 0, 0), "", "There are no generated questions to look at yet."),
        (Sample(50, 0, 0, 0, 0), "", "Look at 50 random questions to learn how good all of them are."),
        (
            Sample(50, 10, 8, 2, 0), "",
            "80 % good (49-94 %) so far: 10 of 50 are reviewed, and the range narrows with each.",
        ),
        (Sample(50, 50, 41, 9, 0), "yes", "82 % good (69-90 %): enough to train."),
        (Sample(50, 50, 10, 38, 2), "no", None),
        (Sample(50, 50, 32, 18, 0), "maybe", None),
        (
            Sample(50, 50, 0, 0, 50), "",
            "All of the sample is flagged: nobody could tell whether these questions are good.",
        ),
    ],
)  # fmt: skip
def test_the_sentence_says_the_share_its_range_and_whether_it_is_enough(
    sample: Sample, verdict: str, sentence: str | None
) -> None:
    assert sample.verdict == verdict
    if sentence is not None:
        assert sample.sentence == sentence


def test_no_means_that_even_the_upper_end_is_too_low() -> None:
    assert Sample(50, 50, 10, 38, 2).sentence.startswith("21 % good (12-34 %): not yet enough to train;")


def test_only_looks_of_people_at_kept_questions_of_the_sample_count(
    project: Project, owner: User, reviewer: User, write: Callable[..., list[WeakQuery]]
) -> None:
    kept = write(*(f"question {number}" for number in range(60)))
    write("dropped", dropped="rank", draw=0)
    drawn = kept[-50:]  # the smallest numbers
    for number, verdict in enumerate(["accept"] * 4 + ["reject"] * 2 + ["unsure"]):
        reviews.give(project=project, actor=owner, weak=drawn[number], verdict=verdict)
    reviews.give(project=project, actor=owner, weak=drawn[10], verdict="edit", text="better")
    reviews.give(project=project, actor=owner, weak=kept[0], verdict="reject")
    bulk = BulkReview.objects.create(project=project, batch=BATCH, verdict="reject", actor=owner)
    Review.objects.create(weak=drawn[20], reviewer=owner, verdict="reject", source="bulk", bulk=bulk)
    assert sample_of(project, BATCH) == Sample(size=50, looked_at=8, good=4, bad=3, flagged=1)
    # Of two who looked, the first one counts.
    reviews.give(project=project, actor=reviewer, weak=drawn[0], verdict="reject")
    assert sample_of(project, BATCH).good == 4


def test_the_sample_is_counted_in_two_queries(
    project: Project, weak: list[WeakQuery], django_assert_num_queries: Callable[..., object]
) -> None:
    with django_assert_num_queries(2):  # type: ignore[attr-defined]
        sample_of(project, BATCH)
