"""Forms of the examples: filters, questions, grades, files."""

from __future__ import annotations

from typing import Any

from django import forms

from webapp.models import Grade, Query, Split

_KEEP = "The app chooses"
SPLIT_CHOICES = (("", _KEEP), *Split.choices)
ORIGINS = (
    ("written", "Written"), ("document", "Asked of a document"), ("imported", "Imported"),
    ("playground", "Tried in the playground"),
    ("promoted", "Generated and accepted"),
)  # fmt: skip


class FilterForm(forms.Form):
    """Which examples to list. What is not allowed is left out, so that an old or odd address still works."""

    text = forms.CharField(
        label="Text", required=False, max_length=200,
        widget=forms.TextInput(attrs={"type": "search", "dir": "auto", "placeholder": "in question or note"}),
    )  # fmt: skip
    split = forms.ChoiceField(required=False, choices=(("", "Any split"), *Split.choices, ("none", "No split yet")))
    status = forms.ChoiceField(required=False, choices=(("", "Any state"), *Query.Status.choices))
    origin = forms.ChoiceField(required=False, choices=(("", "Any origin"), *ORIGINS))
    flagged = forms.BooleanField(required=False, label="Flagged")
    disputed = forms.BooleanField(required=False, label="Disagreement")
    unanswered = forms.BooleanField(required=False, label="Nothing relevant")

    def allowed(self) -> dict[str, Any]:
        """The values that are allowed, whatever else the address holds."""
        self.is_valid()
        return dict(self.cleaned_data)


class QuestionsForm(forms.Form):
    """One question, or several, one a line."""

    text = forms.CharField(
        label="Question", strip=True, max_length=200_000,
        error_messages={"required": "Write a question first, as somebody would type it into the search box."},
        widget=forms.Textarea(attrs={"rows": 3, "dir": "auto", "autofocus": True, "autocomplete": "off"}),
        help_text="As a person would type it. Several lines become several questions, one after the other.",
    )  # fmt: skip

    def lines(self) -> list[str]:
        """The questions."""
        return [line for line in self.cleaned_data["text"].splitlines() if line.strip()]


class DocumentQuestionForm(forms.Form):
    """The question that a shown document answers."""

    text = forms.CharField(
        label="A question that this document answers", max_length=4000,
        error_messages={"required": "Write the question first, or skip the document."},
        widget=forms.Textarea(attrs={"rows": 3, "dir": "auto", "autocomplete": "off"}),
        help_text="As somebody would ask who has not seen the document: do not copy its words.",
    )  # fmt: skip
    doc = forms.IntegerField(min_value=1, max_value=2**62, widget=forms.HiddenInput)


class EditForm(forms.Form):
    """Text and split of an example."""

    text = forms.CharField(
        label="Question", max_length=4000,
        error_messages={"required": "The question is empty. Delete the example if it is not wanted."},
        widget=forms.Textarea(attrs={"rows": 2, "dir": "auto", "data-focus": True}),
    )  # fmt: skip
    split = forms.ChoiceField(
        label="Used for", required=False, choices=SPLIT_CHOICES,
        help_text="A split that you choose stays; otherwise the app keeps the parts balanced.",
    )  # fmt: skip
    seen = forms.IntegerField(min_value=0, max_value=2**31, widget=forms.HiddenInput)


class NoteForm(forms.Form):
    """A note on a question. It comes with every step of the question, so `was` tells whether somebody typed."""

    note = forms.CharField(
        label="Note", required=False, max_length=2000, widget=forms.Textarea(attrs={"rows": 2, "dir": "auto"})
    )
    was = forms.CharField(required=False, widget=forms.HiddenInput)
    seen = forms.IntegerField(min_value=0, max_value=2**31, widget=forms.HiddenInput)

    def is_typed(self) -> bool:
        """Whether the note differs from the one that the page showed; browsers send other line ends."""
        note, was = (self.data.get(name, "").replace("\r\n", "\n").strip() for name in ("note", "was"))
        return note != was


GRADES = (
    (Grade.NOT, "no", "not relevant"), (Grade.PARTLY, "partly", "partly relevant"),
    (Grade.RELEVANT, "relevant", "relevant"), (Grade.PERFECT, "exactly", "exactly this"),
)  # fmt: skip
"""Grades for the buttons: number, a word, and what it means."""


class GradeForm(forms.Form):
    """A grade for a document; none takes the grade off. The other fields draw the card again as it was."""

    doc = forms.IntegerField(min_value=1, max_value=2**62)
    grade = forms.TypedChoiceField(
        required=False, coerce=int, empty_value=None, choices=[("", ""), *((str(value), "") for value in Grade.values)]
    )
    seen = forms.CharField(required=False, max_length=50)
    find = forms.CharField(required=False, max_length=4000)
    by_words = forms.IntegerField(required=False, min_value=1, max_value=1000)
    by_meaning = forms.IntegerField(required=False, min_value=1, max_value=1000)


class GuidelineForm(forms.Form):
    """The text of the guidelines."""

    text = forms.CharField(
        label="Guidelines", max_length=20_000, widget=forms.Textarea(attrs={"rows": 12, "dir": "auto"}),
        help_text="Every judgement keeps the version it followed. Changing the text makes a new version.",
    )  # fmt: skip
    seen = forms.IntegerField(min_value=0, max_value=2**31, widget=forms.HiddenInput)


class PairsFileForm(forms.Form):
    """A file of examples."""

    file = forms.FileField(
        label="File with examples", error_messages={"required": "Choose a file first."},
        help_text="CSV, TSV, JSON lines or qrels; also packed with gzip.",
    )  # fmt: skip
    queries = forms.FileField(
        label="File with the questions of qrels",
        required=False,
        help_text="Only for qrels: queries.jsonl, or id and text with a tab between. Without it the questions of this "
        "project are meant, by their ids.",
    )
    split = forms.ChoiceField(
        label="Used for", required=False, choices=(("", "As the file says, else the app chooses"), *Split.choices)
    )
