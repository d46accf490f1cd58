"""What the pages of the review share."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.middleware.csrf import get_token
from django.utils.functional import SimpleLazyObject

from webapp.review_words import REJECT_REASONS
from webapp.selectors.review_batches import Batch
from webapp.selectors.review_cards import strip
from webapp.services.decisions import Conflict


def page_context(request: HttpRequest, batch: Batch, **values: Any) -> dict[str, Any]:
    """What every page and fragment of a batch needs; `values` are its own."""
    return {
        "csrf_token": get_token(request),  # else each of twenty forms would have one made for itself
        "current_step": "review", "batch": batch, "reasons": numbered_reasons(), "scores": wants_scores(request),
        # Read where a template shows them: the list does not.
        "steps": SimpleLazyObject(lambda: strip(batch, request.user)), **values,
    }  # fmt: skip


def numbered_reasons() -> list[tuple[int, str, str]]:
    """Key, name and words of the reasons to reject."""
    return [(number, name, words) for number, (name, words) in enumerate(REJECT_REASONS.items(), 1)]


def wants_scores(request: HttpRequest) -> bool:
    """Whether rank and risk are to be shown; by default people judge without them."""
    return (request.POST if request.method == "POST" else request.GET).get("scores") == "1"


def number_of(request: HttpRequest, name: str) -> int | None:
    """A row's id from the address; None for nonsense."""
    value = request.GET.get(name, "")
    return int(value) if value.isdecimal() and value.isascii() and len(value) < 19 else None


def sentence(error: Conflict | ValidationError) -> str:
    """What to tell."""
    return " ".join(error.messages) if isinstance(error, ValidationError) else str(error)
