"""Which verdict counts when a generated question has several, and whether people disagree."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from webapp.models import Review, Verdict


def in_order(rows: Sequence[Review]) -> list[Review]:
    """The reviews of a question, the one that counts first.

    What settles a disagreement comes first, then verdicts of people who looked at this question, in the order of time,
    those that are sure first; a bulk action, which nobody looked at one by one, comes last.
    """
    return sorted(rows, key=_weight)


def is_disputed(rows: Sequence[Review]) -> bool:
    """Whether people who looked at a question gave different verdicts and nobody has settled it.

    A flag asks for help and contradicts nobody.
    """
    if any(row.settled for row in rows):
        return False
    return len({row.verdict for row in rows if row.bulk_id is None and row.verdict != Verdict.UNSURE}) > 1


def state_of(rows: Sequence[Review]) -> str:
    """Names all verdicts on a question as they are now: another one, or a changed one, makes it another name."""
    said = sorted(f"{row.pk}\t{row.verdict}\t{row.reason}\t{row.text}\t{row.at.isoformat()}" for row in rows)
    return sha256("\n".join(said).encode()).hexdigest()[:16]


def _weight(row: Review) -> tuple[bool, bool, bool, int]:
    return not row.settled, row.bulk_id is not None, row.verdict == Verdict.UNSURE, row.pk
