"""Tokens of the API, below the profile."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from webapp.forms.tokens import TokenForm
from webapp.models import ApiToken, Project, User
from webapp.selectors.api_tokens import tokens_of
from webapp.services import api_tokens


@require_http_methods(["GET", "POST"])
def tokens(request: HttpRequest) -> HttpResponse:
    """The person's tokens, and a new one.

    The answer to the POST shows its text, the only time: it is kept nowhere, not even in the session.
    """
    user = _person(request)
    projects = Project.objects.filter(memberships__user=user, deleted=None).order_by("name", "pk")
    form = TokenForm(request.POST or None, projects=list(projects))
    context: dict[str, object] = {}
    if request.method == "POST" and form.is_valid():
        try:
            made, text = api_tokens.make(user=user, **form.values())
        except ValidationError as error:
            form.add_error(None, " ".join(error.messages))
        else:
            context = {"made": made, "text": text}
            form = TokenForm(projects=list(projects))
    context |= {"form": form, "tokens": tokens_of(user)}
    return render(request, "people/tokens.html", context)


@require_POST
def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """Make one of one's own tokens useless."""
    token = get_object_or_404(ApiToken, pk=pk, user=_person(request))
    api_tokens.revoke(token=token, actor=_person(request))
    messages.success(request, f"The token “{token.name}” does not work any more.", extra_tags="good")
    return redirect("tokens")


def _person(request: HttpRequest) -> User:
    """The logged-in person; LoginRequired has let nobody else through."""
    assert isinstance(request.user, User)
    return request.user
