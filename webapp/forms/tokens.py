"""The form of a new API token."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.utils import timezone

from webapp.models import ApiToken, Project

DAYS = (("30", "30 days"), ("90", "90 days"), ("365", "a year"), ("", "until I revoke it"))


class TokenForm(forms.Form):
    """What a token may do, where, and for how long."""

    name = forms.CharField(
        max_length=100, help_text="What it is for, so that you know it again.",
        error_messages={"required": "Give it a name: you will want to know what to revoke."},
    )  # fmt: skip
    scope = forms.ChoiceField(
        label="It may", choices=ApiToken.Scope.choices, initial=ApiToken.Scope.READ,
        help_text="Never more than you may yourself. Each also allows what stands above it.",
    )  # fmt: skip
    project = forms.ChoiceField(label="Where", required=False)
    days = forms.ChoiceField(label="It works for", required=False, choices=DAYS, initial="90")

    def __init__(self, data: Any = None, *, projects: Sequence[Project]) -> None:
        """`projects` are those of the person."""
        super().__init__(data)
        self._projects = {project.slug: project for project in projects}
        choices = [("", "In all my projects"), *((slug, one.name) for slug, one in self._projects.items())]
        self.fields["project"].choices = choices  # type: ignore[attr-defined]  # a choice field

    def values(self) -> dict[str, Any]:
        """The arguments of webapp.services.api_tokens.make."""
        data = self.cleaned_data
        return {
            "name": data["name"], "scope": data["scope"], "project": self._projects.get(data["project"]),
            "expires": _end(data["days"]),
        }  # fmt: skip


def _end(days: str) -> datetime | None:
    return timezone.now() + timedelta(days=int(days)) if days else None
