"""How good the generated questions are, told from a random sample: a share with its interval, and what it means."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass

from webapp.models import Project, Review, Verdict
from webapp.selectors.review_queues import sample_ids
from webapp.selectors.review_verdicts import in_order

ENOUGH = 0.6
"""Share of good questions from which training on all of them is worth a try: six good ones outweigh four bad ones, and
the loss of training compares each question with those of other documents, which a bad one spoils a little. Results on
held-out examples decide in the end."""
_Z = 1.959964  # 97.5 % of a normal distribution lie below
_MEANS = {
    "yes": "enough to train",
    "maybe": "not clear yet; review some of the riskiest, which raises the share, or train and see",
    "no": "not yet enough to train; reject the bad ones, or let better examples teach the question writer",
}


@dataclass(frozen=True, slots=True)
class Sample:
    """The random sample as far as it is reviewed. Flagged questions are looked at and count neither way."""

    size: int
    looked_at: int
    good: int
    bad: int
    flagged: int

    @property
    def n(self) -> int:
        """Questions with a clear verdict."""
        return self.good + self.bad

    @property
    def is_over(self) -> bool:
        """Whether all of it is looked at."""
        return 0 < self.size == self.looked_at

    @property
    def interval(self) -> tuple[float, float]:
        """Of the share of good questions, 95 %."""
        return wilson(self.good, self.n)

    @property
    def verdict(self) -> str:
        """yes, no or maybe: enough to train; empty before all of the sample is looked at."""
        if not self.is_over or not self.n:
            return ""
        low, high = self.interval
        return "yes" if low >= ENOUGH else "no" if high < ENOUGH else "maybe"

    @property
    def sentence(self) -> str:
        """What is known of all questions of the batch, in words."""
        if not self.size:
            return "There are no generated questions to look at yet."
        if self.is_over and not self.n:
            return "All of the sample is flagged: nobody could tell whether these questions are good."
        if not self.n:
            return f"Look at {self.size} random questions to learn how good all of them are."
        low, high = self.interval
        share = f"{self.good / self.n:.0%} good ({low:.0%}-{high:.0%})".replace("%", " %").replace(" %-", "-")
        if not self.is_over:
            return f"{share} so far: {self.looked_at} of {self.size} are reviewed, and the range narrows with each."
        return f"{share}: {_MEANS[self.verdict]}."


def wilson(good: int, n: int) -> tuple[float, float]:
    """Wilson's score interval (1927) for a share, 95 %; 0 to 1 where nothing is known."""
    if not n:
        return 0.0, 1.0
    share, square = good / n, _Z**2 / n
    middle = (share + square / 2) / (1 + square)
    half = _Z * math.sqrt(share * (1 - share) / n + square / (4 * n)) / (1 + square)
    return max(0.0, middle - half), min(1.0, middle + half)


def sample_of(project: Project, batch: str) -> Sample:
    """Count the verdicts on the sample. An edited question was not good as it was written. Two queries."""
    ids = sample_ids(project, batch)
    reviews: dict[int, list[Review]] = defaultdict(list)
    for review in Review.objects.filter(weak_id__in=ids, bulk=None).only("weak_id", "verdict", "settled", "bulk_id"):
        reviews[review.weak_id].append(review)
    verdicts = Counter(in_order(rows)[0].verdict for rows in reviews.values())
    return Sample(
        size=len(ids),
        looked_at=len(reviews),
        good=verdicts[Verdict.ACCEPT],
        bad=verdicts[Verdict.REJECT] + verdicts[Verdict.EDIT],
        flagged=verdicts[Verdict.UNSURE],
    )
