"""One action on all examples of a filter: first how many, then done."""

from __future__ import annotations

from dataclasses import asdict

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.defaultfilters import pluralize
from django.urls import reverse
from django.views.decorators.http import require_POST

from webapp.access import project_view
from webapp.forms.examples import FilterForm
from webapp.models import Project, Role
from webapp.selectors.examples import Filter
from webapp.services import bulk as service
from webapp.services.decisions import Conflict
from webapp.views.examples import read_filter

NAMES = {
    "text": "Text", "split": "Used for", "status": "State", "origin": "Origin", "flagged": "Flagged",
    "disputed": "Disagreement", "unanswered": "Nothing relevant",
}  # fmt: skip
"""Of the fields of a filter."""


@project_view(Role.EDITOR)
@require_POST
def bulk(request: HttpRequest, project: Project) -> HttpResponse:
    """Preview the action; with `expected`, the number that was shown, do it."""
    form, chosen = read_filter(request.POST)
    address = f"{reverse('examples', args=[project.slug])}?{_query(request)}"
    action, expected = request.POST.get("action", ""), request.POST.get("expected", "")
    try:
        if not (expected.isdecimal() and len(expected) < 10):
            count = service.preview(project=project, chosen=chosen, action=action)
            context = {
                "current_step": "examples", "form": form, "chosen": chosen, "count": count, "action": action,
                "words": service.ACTIONS[action].order, "address": address, "facts": _facts(form, chosen),
            }  # fmt: skip
            return render(request, "examples/bulk.html", context)
        done = service.apply(project=project, chosen=chosen, action=action, expected=int(expected), actor=request.user)
    except Conflict as error:
        messages.error(request, str(error), extra_tags="bad")
    except ValidationError as error:
        messages.error(request, " ".join(error.messages), extra_tags="bad")
    else:
        words = f"{service.ACTIONS[action].done}: {done} example{pluralize(done)}."
        messages.success(request, f"{words} You can undo this under “Your last steps”.", extra_tags="good")
    return redirect(address)


def _facts(form: FilterForm, chosen: Filter) -> list[tuple[str, str]]:
    """The filter in words."""
    found = []
    for name, value in asdict(chosen).items():
        choices = dict(getattr(form.fields[name], "choices", ()))
        if value:
            found.append((NAMES[name], "yes" if value is True else str(choices.get(value, value))))
    return found


def _query(request: HttpRequest) -> str:
    """The filter of the form as an address."""
    values = request.POST.copy()
    for name in ("csrfmiddlewaretoken", "action", "expected"):
        values.pop(name, None)
    return values.urlencode()
