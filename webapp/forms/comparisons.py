"""Forms of the comparison: a grade for a result, the note of an experiment, the two that are compared."""

from __future__ import annotations

from django import forms

_LARGEST = 2**31 - 1  # of the numbers of experiments, as the database has them
_CELL = 80  # letters of an arm's name with its family and variant


class ResultGradeForm(forms.Form):
    """A grade for a document that a search found for a test question. An empty grade takes it off."""

    id = forms.CharField(max_length=512, strip=False)
    doc = forms.IntegerField(min_value=1, max_value=2**63 - 1)
    grade = forms.TypedChoiceField(
        choices=[("", "take off"), *((str(grade), str(grade)) for grade in range(4))], coerce=int, empty_value=None,
        required=False,
    )  # fmt: skip
    seen = forms.CharField(max_length=40, required=False)
    arm = forms.CharField(max_length=_CELL, required=False)
    against = forms.CharField(max_length=_CELL, required=False)
    judgements = forms.CharField(max_length=10, required=False)


class NoteForm(forms.Form):
    """The note of an experiment."""

    note = forms.CharField(
        label="Note", max_length=5000, required=False, widget=forms.Textarea({"rows": 3, "dir": "auto"})
    )


class PairForm(forms.Form):
    """Two experiments by their numbers."""

    a = forms.IntegerField(min_value=1, max_value=_LARGEST)
    b = forms.IntegerField(min_value=1, max_value=_LARGEST)
