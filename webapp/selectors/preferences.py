"""What blind comparisons say: an exact sign test over the questions of which somebody preferred one side."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import comb

from webapp.models import Experiment, Preference
from webapp.selectors.words import plural, write_p

_READ = 10_000  # choices
_LIKELY = 0.05
_SIGNS = {Preference.Choice.AFTER.value: 1, Preference.Choice.BEFORE.value: -1, Preference.Choice.SAME.value: 0}
_LEAST = 6  # clear preferences below which not even unanimity is unlikely to be chance: 2 / 2^5 > 0.05 > 2 / 2^6


@dataclass(frozen=True, slots=True)
class Tally:
    """Questions by which side people prefer for them. `p` is None without one that has a clear preference."""

    after: int
    before: int
    same: int
    p: float | None
    sentence: str

    @property
    def total(self) -> int:
        """All questions."""
        return self.after + self.before + self.same


def tally_of(experiment: Experiment, arm: str, before: str) -> Tally:
    """Count each question once, for the side that more people prefer; of each person the first choice.

    The test takes what it counts as independent, and what several people say of one question is not.
    """
    rows = Preference.objects.filter(experiment=experiment, arm=arm, before=before).exclude(choice="").order_by("id")
    votes: dict[tuple[int | None, str], str] = {}
    for person, text, choice in rows.values_list("person_id", "text", "choice")[:_READ]:
        votes.setdefault((person, text.casefold()), choice)
    lead: Counter[str] = Counter()  # of the trained model, by question
    for (_, text), choice in votes.items():
        lead[text] += _SIGNS[choice]
    leads = lead.values()
    return tally(sum(one < 0 for one in leads), sum(one > 0 for one in leads), sum(one == 0 for one in leads))


def tally(before: int, after: int, same: int) -> Tally:
    """Put counts into a sentence; ties take no part in the test."""
    p = sign_test(after, before) if after + before else None
    return Tally(after, before, same, p, _sentence(before, after, same, p))


def sign_test(one: int, other: int) -> float:
    """Two-sided exact p of so uneven a split, if both sides were equally likely to be preferred."""
    total, fewer = one + other, min(one, other)
    return min(1.0, 2 * sum(comb(total, count) for count in range(fewer + 1)) / 2**total)


def _sentence(before: int, after: int, same: int, p: float | None) -> str:
    if not before + after + same:
        return "Nobody has compared these two without their names yet."
    clear = before + after
    counted = (
        f"The trained model was preferred for {after} {plural(after, 'question')}, the other search for {before}; "
        f"{same} made no difference."
    )
    if p is None or clear < _LEAST:
        return f"{counted} Too few to tell: at least {_LEAST} questions with a clear preference are needed."
    chance = (
        f"If both were equally good, so uneven a count would come about by chance in {_percent(p)} of such series "
        f"(exact sign test, p {write_p(p)}, n = {clear})"
    )
    if p >= _LIKELY:
        return f"{counted} {chance}: cannot tell yet."
    better = "the trained model" if after > before else "the other search"
    return f"{counted} {chance}: people likely do prefer {better}."


def _percent(p: float) -> str:
    return f"{100 * p:.0f} %" if p >= 0.095 else f"{100 * p:.1f} %" if p >= 0.001 else "less than 0.1 %"
