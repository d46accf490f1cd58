"""Forms of the review: filters, verdicts, bulk actions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django import forms

from webapp.forms.widgets import PlainSelect
from webapp.models import Verdict
from webapp.review_words import LIKENESS, QUEUES, REJECT_REASONS

_LARGEST = 2**62
_STATES = (
    ("", "Any verdict"), ("none", "Not reviewed"), ("accept", "Accepted"), ("reject", "Rejected"),
    ("edit", "Edited"), ("unsure", "Flagged"),
)  # fmt: skip


class FilterForm(forms.Form):
    """Which generated questions to list. What is not allowed is left out, so that an old or odd address still works."""

    text = forms.CharField(
        label="Text", required=False, max_length=200,
        widget=forms.TextInput(attrs={"type": "search", "dir": "auto", "placeholder": "in the question"}),
    )  # fmt: skip
    verdict = forms.ChoiceField(label="Verdict", required=False, choices=_STATES, widget=PlainSelect)
    kept = forms.ChoiceField(label="Filter", required=False, widget=PlainSelect)
    reason = forms.ChoiceField(
        label="Reason", required=False, choices=(("", "Any reason"), *REJECT_REASONS.items()), widget=PlainSelect
    )  # fmt: skip
    who = forms.TypedChoiceField(
        label="Reviewer", required=False, coerce=int, empty_value=None, widget=PlainSelect
    )  # fmt: skip
    rank = forms.IntegerField(
        label="Rank from", required=False, min_value=1, max_value=100_000,
        widget=forms.NumberInput(attrs={"placeholder": "rank from"}),
    )  # fmt: skip
    disputed = forms.BooleanField(label="Disagreement", required=False)
    like = forms.IntegerField(required=False, min_value=1, max_value=_LARGEST, widget=forms.HiddenInput)
    how = forms.ChoiceField(required=False, choices=(("", ""), *LIKENESS.items()), widget=forms.HiddenInput)

    def __init__(self, data: object, *, dropped: Mapping[str, str], people: Iterable[tuple[int, str]]) -> None:
        """`dropped` are the reasons of clean-up and filter in words, `people` those who may have reviewed."""
        super().__init__(data)  # type: ignore[arg-type]  # a QueryDict
        reasons = [(name, f"Dropped: {words}") for name, words in dropped.items()]
        self.fields["kept"].choices = [("", "Kept and dropped"), ("yes", "Kept"), *reasons]  # type: ignore[attr-defined]
        self.fields["who"].choices = [("", "Anybody"), *people]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """A likeness is of a question in a way: one without the other would match everything, or nothing."""
        data: dict[str, Any] = self.cleaned_data
        if bool(data.get("like")) != bool(data.get("how")):
            raise forms.ValidationError("It takes both a question and the way in which others are like it.")
        return data

    def allowed(self) -> dict[str, Any]:
        """The values that are allowed, whatever else the address holds."""
        self.is_valid()
        return dict(self.cleaned_data)


class VerdictForm(forms.Form):
    """A verdict on one question. `queue` says which page it comes from; `scores` that the page shows the scores."""

    verdict = forms.ChoiceField(choices=Verdict.choices)
    reason = forms.ChoiceField(required=False, choices=(("", ""), *REJECT_REASONS.items()))
    text = forms.CharField(required=False, max_length=4000)
    queue = forms.ChoiceField(required=False, choices=(("", ""), *QUEUES.items(), ("list", ""), ("question", "")))
    seen = forms.CharField(required=False, max_length=16)


class BulkForm(forms.Form):
    """What is to be said of all questions of a filter."""

    action = forms.ChoiceField(
        choices=(
            ("accept", "Accept"), ("unsure", "Flag"), ("reject", "Reject"),
            *((f"reject-{name}", f"Reject: {words}") for name, words in REJECT_REASONS.items()),
        )
    )  # fmt: skip

    def verdict(self) -> tuple[str, str]:
        """Verdict and reason."""
        verdict, _, reason = self.cleaned_data["action"].partition("-")
        return verdict, reason
