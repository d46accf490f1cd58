"""What verdicts on generated questions, reasons and queues are called."""

from __future__ import annotations

REJECT_REASONS = {
    "unanswered": "The document does not answer it",
    "vague": "Too vague: many documents would answer it",
    "copied": "Copies the words of the document",
    "unnatural": "Nobody would ask it like that",
    "garbled": "Garbled, cut off or in another language",
}
"""Why a question is rejected; the keys 1 to 5 in this order."""

VERDICT_WORDS = {"accept": "accepted", "reject": "rejected", "edit": "edited", "unsure": "flagged"}
"""What somebody did to a question, by verdict."""

SAMPLE, QUEUE, SECOND = "sample", "queue", "second"
QUEUES = {
    SAMPLE: "Random 50",
    QUEUE: "Riskiest first",
    SECOND: "Second opinion",
}
"""Where the next card comes from; on none of these pages do people see what others have said."""

SOURCES = (SAMPLE, QUEUE, SECOND, "list", "api")
"""Where a person's verdict may come from; settling and bulk are the app's own."""

LIKENESS = {
    "same": "Asks the same in the same words",
    "near": "Has at least 80 % of its words in common",
    "start": "Begins with the same three words",
    "short": "Has as few words, or fewer",
}
"""Ways in which a question may be like another."""

PATTERN_OF_REASON = {"vague": "short", "copied": "near", "unnatural": "start", "garbled": "same"}
"""Which likeness to look for first after a rejection for that reason; a low rank is another way."""


def verdict_words(verdict: str, reason: str = "") -> str:
    """A verdict as it is told: `rejected (too vague: …)`."""
    words = VERDICT_WORDS.get(verdict, verdict)
    return f"{words}: {REJECT_REASONS[reason].lower()}" if reason in REJECT_REASONS else words
