"""Text that attacks, and a reader of pages that says what of it has come alive (T37)."""

from __future__ import annotations

from html.parser import HTMLParser

from django.apps import apps
from django.db import models

MARK = "zqevil1"
EVIL = (
    f'{MARK}"><svg onload=zqevil2()><img src=zqevil3 onerror=zqevil4()><script>zqevil5()</script>{{{{7*7}}}}zqevil6'
    f"<a href='javascript:zqevil7()' hx-get='/logout/' hx-on:click='zqevil8()' data-poll>'\""
)
FORMULA = "=cmd|' /C calc'!A0"

_SHOWN_IN = {"value", "title", "aria-label", "placeholder", "content", "data-text", "alt", "label"}
_ADDRESSES = {"href", "action", "formaction", "src", "data-href", "hx-get", "hx-post"}

# Columns whose values the application chooses itself, or that other rows and files refer to.
_OURS = {
    "Archive": {"kind", "fingerprint", "sha256", "slug"},
    "ApiToken": {"token_hash"},
    "BulkReview": {"batch"},
    "Corpus": {"sha256"},
    "Document": {"doc_id"},
    "Errand": {"kind"},
    "Event": {"verb"},
    "Experiment": {"request_token", "preset", "dataset", "decisions", "series", "slug"},
    "Invitation": {"token_hash"},
    "Judgement": {"doc_id", "source"},
    "LoginAttempt": {"key"},
    "LoginLink": {"token_hash"},
    "OpenSession": {"session_key"},
    "Preference": {"arm", "before"},
    "Project": {"slug"},
    "Query": {"query_id", "normalised", "origin"},
    "Rescoring": {"qrels"},
    "Review": {"source", "reason"},
    "SkippedDocument": {"doc_id"},
    "StageRun": {"step_id", "stage", "family", "variant", "folder", "digest", "queue"},
    "Upload": {"sha256"},
    "User": {"password", "email"},
    "WeakQuery": {"batch", "doc_id", "weak_id", "dropped", "reason"},
}


def text_columns() -> list[tuple[type[models.Model], models.Field]]:
    """Every column that holds a person's or a model's own words."""
    found = []
    for model in apps.get_app_config("webapp").get_models():
        for field in model._meta.concrete_fields:
            is_text = isinstance(field, models.CharField | models.TextField) and not field.choices
            if is_text and field.name not in _OURS.get(model.__name__, ()):
                found.append((model, field))
    return found


def poison(text: str) -> int:
    """Put a text into every such column of every row; returns how many columns that are."""
    columns = text_columns()
    for model, field in columns:
        model._base_manager.update(**{field.name: text[: field.max_length or None]})
    return len(columns)


class Reader(HTMLParser):
    """Collects in `alive` whatever of the evil text is more than text."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.alive: list[str] = []
        self.feed(page)
        if "49zqevil6" in page:
            self.alive.append("the text was rendered as a template")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at one element."""
        for name, value in attrs:
            if self._is_alive(tag, name, value or ""):
                self.alive.append(f"<{tag} {name}={value!r}>")
        if tag == "script" and not any(name == "src" for name, _ in attrs):
            self.alive.append("a script within the page")

    def _is_alive(self, tag: str, name: str, value: str) -> bool:
        if name.startswith(("on", "hx-on")) or name in ("style", "srcdoc") or not name.replace("-", "").isalnum():
            return name not in ("xml:space", "xmlns:xlink")
        if name in _ADDRESSES:
            return not value.startswith(("/", "?", "#", "data:")) and value != "" and MARK[:6] in value
        return "zqevil" in value and name not in _SHOWN_IN
