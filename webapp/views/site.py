"""Pages that belong to no project: home, glossary, system health, colours."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_POST

from webapp.forms.people import THEMES
from webapp.glossary import KEYS, STEPS, TERMS
from webapp.selectors.home import home_of
from webapp.selectors.system import health
from webapp.services import sample as sample_project

YEAR = 365 * 24 * 3600  # seconds


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """The person's projects and what waits for them."""
    before = request.GET.get("before", "")
    known = int(before) if before.isascii() and before.isdigit() and len(before) < 19 else None
    return render(request, "site/home.html", {"home": home_of(request.user, before=known)})


@require_POST
def sample(request: HttpRequest) -> HttpResponse:
    """Load the sample project, or go to the one the person has."""
    return redirect("project", sample_project.load(request.user).slug)


@require_GET
def glossary(request: HttpRequest) -> HttpResponse:
    """Every term of the pages, the steps and the keys."""
    return render(request, "site/glossary.html", {"terms": TERMS, "steps": STEPS, "keys": KEYS})


@require_GET
def system(request: HttpRequest) -> HttpResponse:
    """Health of the server, for its operators; a page that does not exist for others."""
    if not request.user.is_staff:
        raise Http404("Only for operators.")
    return render(request, "site/system.html", {"health": health()})


@login_not_required
@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Keep the chosen colours in a cookie and go back."""
    back = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure()):
        back = "/"
    return set_theme(redirect(back), request, request.POST.get("theme", ""))


def set_theme(response: HttpResponse, request: HttpRequest, chosen: str) -> HttpResponse:
    """Set the cookie of the colours; what is no theme means the system's."""
    if chosen in {value for value, _ in THEMES if value}:
        response.set_cookie("theme", chosen, YEAR, secure=request.is_secure(), httponly=True, samesite="Lax")
    else:
        response.delete_cookie("theme", samesite="Lax")
    return response
