"""Choices of experiments that change another one: the threshold, the numbers of examples."""

from __future__ import annotations

from typing import Any

from django import forms

from sptar_engine.configs import FilterConfig
from webapp.forms.experiments import MAX_SEEDS

MAX_K = int(FilterConfig.__dataclass_fields__["top_k"].metadata["high"])
"""The largest threshold that the filter takes."""


class ThresholdForm(forms.Form):
    """A threshold of the filter."""

    k = forms.IntegerField(label="Threshold k", min_value=1, max_value=MAX_K)


class CurveForm(forms.Form):
    """Which points a learning curve has."""

    arm = forms.ChoiceField(label="Search model", widget=forms.RadioSelect)
    sizes = forms.MultipleChoiceField(
        label="Numbers of training examples",
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose at least two numbers of examples."},
    )
    seeds = forms.IntegerField(
        label="Repeats of each training",
        min_value=1,
        max_value=MAX_SEEDS,
        help_text="Three show how much chance there is in each point, and take three times the training.",
    )

    def __init__(self, data: Any, *, searches: list[tuple[str, str]], usual: str, sizes: list[int]) -> None:
        """`searches` are cells with their names, `sizes` those that there are examples for.

        Without data: the search `usual`, all sizes, one training.
        """
        super().__init__(data or {"arm": usual, "sizes": [str(size) for size in sizes], "seeds": 1})
        self.fields["arm"].choices = searches  # type: ignore[attr-defined]
        labels = [f"all {size}" if size == sizes[-1] else str(size) for size in sizes]
        self.fields["sizes"].choices = [  # type: ignore[attr-defined]
            (str(size), label) for size, label in zip(sizes, labels, strict=True)
        ]

    def clean_sizes(self) -> list[int]:
        """As numbers, rising. A curve has two points at least."""
        sizes = sorted(int(size) for size in self.cleaned_data["sizes"])
        if len(sizes) < 2:
            raise forms.ValidationError("Choose at least two numbers of examples: one point is no curve.")
        return sizes
