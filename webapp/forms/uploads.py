"""Forms of an upload: the file, and how it is to be read."""

from __future__ import annotations

from typing import Any

from django import forms

from webapp.models import Chunking
from webapp.reading.tables import DELIMITERS, ROLES
from webapp.reading.text_lines import ENCODINGS

ACCEPTED = ".jsonl,.json,.ndjson,.csv,.tsv,.tab,.txt,.md,.zip,.pdf,.docx,.gz"
MAX_COLUMNS = 200


class UploadForm(forms.Form):
    """A file. `refused` is the sentence of the upload handler when it did not take it."""

    file = forms.FileField(label="File with your documents", required=False, max_length=255)

    def __init__(self, *arguments: Any, refused: str = "", **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._refused = refused
        self.fields["file"].widget.attrs["accept"] = ACCEPTED
        self.fields["file"].error_messages |= {
            "empty": "The file is empty. Choose the file that holds your documents.",
            "max_length": "The name of the file is longer than 255 characters. Shorten it and upload the file again.",
        }

    def clean_file(self) -> Any:
        """The file, or the reason why there is none."""
        file = self.cleaned_data.get("file")
        if self._refused:
            raise forms.ValidationError(self._refused)
        if not file:
            raise forms.ValidationError("No file arrived. Choose a file and press Upload.")
        return file


class ChoicesForm(forms.Form):
    """How an upload is to be read. Fields that its kind does not have are left out."""

    kind = forms.ChoiceField(label="What the file holds")
    encoding = forms.ChoiceField(label="How its characters are written", choices=list(ENCODINGS.items()))
    delimiter = forms.ChoiceField(label="What stands between two cells", choices=list(DELIMITERS.items()))
    header = forms.BooleanField(label="The first row holds the names of the columns", required=False)
    chunking = forms.ChoiceField(
        label="Long documents", choices=Chunking.choices, widget=forms.RadioSelect, initial=Chunking.NONE,
        help_text="Search models read about 200 words at once and see nothing of the rest. A piece keeps the title.",
    )  # fmt: skip

    def __init__(
        self, *arguments: Any, kinds: list[tuple[str, str]], columns: list[str], options: dict[str, Any], **named: Any
    ) -> None:
        """`options` are the choices that are shown, and `columns` the names of a table's columns."""
        super().__init__(*arguments, **named)
        self.fields["kind"].choices = kinds  # type: ignore[attr-defined]  # a choice field
        for name in ("encoding", "delimiter", "header", "chunking"):
            if name not in options:
                del self.fields[name]
        shown = min(len(columns), MAX_COLUMNS) if "roles" in options else 0
        self._roles = [f"role_{number}" for number in range(shown)]
        for name, column in zip(self._roles, columns, strict=False):
            self.fields[name] = forms.ChoiceField(label=column[:60], choices=list(ROLES.items()), required=False)

    def role_fields(self) -> list[forms.BoundField]:
        """One field for each column of a table."""
        return [self[name] for name in self._roles]

    def clean(self) -> dict[str, Any]:
        """Exactly one thing can be the id and the title, and something must be the text."""
        cleaned = super().clean() or {}
        roles = [cleaned.get(name, "") for name in self._roles]
        if self._roles:
            for role in ("id", "title"):
                if roles.count(role) > 1:
                    self.add_error(None, f"Two columns are marked as the {role}. Choose one of them.")
            if "text" not in roles and "title" not in roles:
                self.add_error(None, "No column is marked as text. Choose at least one: it is what people search in.")
        return cleaned

    def options(self) -> dict[str, Any]:
        """The choices as an upload keeps them."""
        kept = {name: self.cleaned_data[name] for name in ("encoding", "delimiter", "header") if name in self.fields}
        if self._roles:
            kept["roles"] = [self.cleaned_data[name] for name in self._roles]
        return {**kept, "chunking": self.cleaned_data.get("chunking", Chunking.NONE.value)}


class ImportForm(forms.Form):
    """The decision to import the good rows."""

    chunking = forms.ChoiceField(label="Long documents", choices=Chunking.choices, widget=forms.RadioSelect)


class SearchForm(forms.Form):
    """A query in the search box."""

    q = forms.CharField(label="Search in your documents", required=False, max_length=500)
