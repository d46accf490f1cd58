"""What a person wants in a download."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import QueryDict

from webapp.archive_kinds import KINDS, clean_options, default_options


class ArchiveForm(forms.Form):
    """The kind, the boxes that are ticked and the format. The service checks which of them go together."""

    kind = forms.ChoiceField(choices=[(kind.key, kind.title) for kind in KINDS.values()])
    box = forms.TypedMultipleChoiceField(
        choices=sorted({(box.key, box.label) for kind in KINDS.values() for box in kind.boxes}), required=False
    )
    chosen = forms.CharField(max_length=20, required=False)
    """The format, or the kind of search model."""

    def sentence(self) -> str:
        """What is wrong, for a person."""
        return " ".join(str(error) for errors in self.errors.values() for error in errors)


def card_options(values: QueryDict) -> dict[str, Any]:
    """The boxes of the model card in an address; those that are ticked beforehand when it says nothing, or nonsense."""
    kind = KINDS["retriever"]
    if "chosen" not in values:
        return default_options(kind)
    known = {box.key for box in kind.boxes}
    return clean_options(kind, boxes=[box for box in values.getlist("box") if box in known])
