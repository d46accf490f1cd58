"""What blind comparisons say: an exact sign test over the questions of which somebody preferred one side."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

from webapp.models import Experiment, Preference
from webapp.selectors.words import plural

_READ = 10_000  # choices
_LIKELY = 0.05
_LEAST = 6  # clear choices below which not even unanimity is unlikely to be chance: 2 / 2^5 > 0.05 > 2 / 2^6


@dataclass(frozen=True, slots=True)
class Tally:
    """Choices between a trained model and the search it stands against. `p` is None without a clear choice."""

    after: int
    before: int
    same: int
    p: float | None
    sentence: str

    @property
    def total(self) -> int:
        """All choices."""
        return self.after + self.before + self.same


def tally_of(experiment: Experiment, arm: str, before: str) -> Tally:
    """Count one choice for each person and question, the first one: asking the same again is no more evidence."""
    rows = Preference.objects.filter(experiment=experiment, arm=arm, before=before).exclude(choice="").order_by("id")
    votes: dict[tuple[int | None, str], str] = {}
    for person, text, choice in rows.values_list("person_id", "text", "choice")[:_READ]:
        votes.setdefault((person, text.casefold()), choice)
    counts = [sum(choice == wanted for choice in votes.values()) for wanted in Preference.Choice.values]
    return tally(*counts)


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
        return f"{counted} Too few to tell: at least {_LEAST} clear choices are needed."
    chance = (
        f"If both were equally good, so uneven a count would come about by chance in {_percent(p)} of such series "
        f"(exact sign test, p = {_digits(p)}, n = {clear})"
    )
    if p >= _LIKELY:
        return f"{counted} {chance}: cannot tell yet."
    better = "the trained model" if after > before else "the other search"
    return f"{counted} {chance}: people likely do prefer {better}."


def _percent(p: float) -> str:
    return f"{100 * p:.0f} %" if p >= 0.095 else f"{100 * p:.1f} %" if p >= 0.001 else "less than 0.1 %"


def _digits(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else f"{p:.1e}"
