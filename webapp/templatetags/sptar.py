"""Template tags and filters of our own."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from django import template
from django.forms import BoundField, CheckboxInput, Select, SelectMultiple
from django.templatetags.static import static
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import slugify

from webapp.forms.widgets import PlainSelect
from webapp.models import Project, Role
from webapp.selectors.judgements import PLAYGROUND
from webapp.selectors.step_facts import Step
from webapp.selectors.steps import steps_of
from webapp.selectors.words import size
from webapp.services.queries import SKIP_REASONS

register = template.Library()

_SELECTS = (Select, SelectMultiple, PlainSelect)  # not their heirs that are lists of radio buttons or boxes


@register.simple_tag
def term(expert: str, technical: str, anchor: str = "") -> SafeString:
    """The expert's word, with the technical term small beside it and a link into the glossary."""
    return format_html(
        '{} <a class="term" href="/glossary/#{}">{}</a>', expert, anchor or slugify(technical), technical
    )


@register.simple_tag
@lru_cache(maxsize=1000)  # a list shows a hundred of the same few
def icon(name: str, label: str = "") -> SafeString:
    """An icon of static/vendor/icons/sprite.svg; with a label it is read out, else it is hidden."""
    if label:
        return format_html(
            '<svg class="icon" role="img" aria-label="{}"><use href="{}#{}"></use></svg>',
            label, static("vendor/icons/sprite.svg"), name,
        )  # fmt: skip
    return format_html(
        '<svg class="icon" aria-hidden="true"><use href="{}#{}"></use></svg>', static("vendor/icons/sprite.svg"), name
    )


_VERDICT_TAGS = {
    "accept": ("good", "check-lg", "Accepted"),
    "reject": ("bad", "x-lg", "Rejected"),
    "edit": ("accent", "pencil", "Edited"),
    "unsure": ("warn", "flag", "Flagged"),
}


@register.simple_tag
@lru_cache(maxsize=1000)
def verdict_tag(verdict: str, disputed: bool) -> SafeString:
    """What is said of a generated question, and whether people disagree on it."""
    if verdict in _VERDICT_TAGS:
        kind, name, words = _VERDICT_TAGS[verdict]
        shown = format_html('<span class="tag {}">{} {}</span>', kind, icon(name), words)
    else:
        shown = mark_safe('<span class="tag">Not reviewed</span>')
    return format_html('{} <span class="tag warn">{} Disagreement</span>', shown, icon("people")) if disputed else shown


def _widget_class(field: BoundField) -> str:
    """Bootstrap's class for a field's widget."""
    widget = field.field.widget
    if isinstance(widget, CheckboxInput):
        return "form-check-input"
    return "form-select" if type(widget) in _SELECTS else "form-control"


register.filter(size)


@register.filter
def styled(field: BoundField) -> SafeString:
    """Render a field with its class, its error state and the ids of help and error for screen readers."""
    attributes: dict[str, Any] = {"class": _widget_class(field)}
    described = []
    if field.errors:
        attributes["class"] += " is-invalid"
        attributes["aria-invalid"] = "true"
        described.append(f"{field.id_for_label}-error")
    if field.help_text:
        described.append(f"{field.id_for_label}-help")
    if described:
        attributes["aria-describedby"] = " ".join(described)
    return field.as_widget(attrs={**field.field.widget.attrs, **attributes})


@register.filter
def skip_words(reason: str) -> str:
    """Why a question was skipped, in words; empty for a reason that is not on the list any more."""
    return "tried in the playground" if reason == PLAYGROUND else SKIP_REASONS.get(reason, "")


@register.filter
def shorten(text: str, length: int) -> str:
    """The beginning of a text. Unlike truncatechars it counts combining marks, and takes a fiftieth of the time."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


@register.filter
def share(part: float, whole: float) -> int:
    """A percentage, 0 for an empty whole."""
    return round(100 * part / whole) if whole else 0


@register.filter
def with_code(text: object) -> SafeString:
    """Escaped text in which `words` between backticks are code."""
    pieces = str(text).split("`")
    shown = (format_html("<code>{}</code>", piece) if number % 2 else piece for number, piece in enumerate(pieces))
    return format_html_join("", "{}", ((piece,) for piece in shown))


@register.filter
def at_least(role: Any, wanted: str) -> bool:
    """Whether a role may do what `wanted` may; for hiding buttons, the view decides."""
    return bool(role) and role.level >= Role(wanted).level


@register.simple_tag(takes_context=True)
def stepper(context: dict[str, Any], project: Project) -> list[Step]:
    """The eight steps of a project with their states (webapp.selectors.steps), for the person's role in it."""
    return steps_of(project, context.get("role"))


@register.simple_tag(takes_context=True)
def query(context: dict[str, Any], **changes: Any) -> str:
    """The address's query string with some values changed; None removes one."""
    values = context["request"].GET.copy()
    for name, value in changes.items():
        if value is None:
            values.pop(name, None)
        else:
            values[name] = value
    return "?" + values.urlencode()
