"""Log-in, accounts, and accepting an invitation."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login, logout, update_session_auth_hash
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ValidationError
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from webapp.forms.people import ChangePasswordForm, LoginForm, ProfileForm, SignUpForm
from webapp.models import Role, User
from webapp.selectors.api_tokens import tokens_of
from webapp.services import invitations, login_links, people, sessions
from webapp.services import log_in as log_in_service
from webapp.services.invitations import InvitationOver
from webapp.services.login_links import LinkSpent
from webapp.views.site import set_theme

GONE = 410
BACKEND = "django.contrib.auth.backends.ModelBackend"


@login_not_required
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def log_in(request: HttpRequest) -> HttpResponse:
    """Log in by password."""
    if request.user.is_authenticated:
        return redirect(_next(request))
    form = LoginForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            user = log_in_service.check_password(**form.cleaned_data, host=client_host(request))
        except ValidationError as error:
            form.add_error(None, error)
        else:
            login(request, user, backend=BACKEND)
            return redirect(_next(request))
    return render(request, "people/login.html", {"form": form, "next": _next(request, default="")})


@login_not_required
@require_http_methods(["GET", "POST"])
def login_link(request: HttpRequest, token: str) -> HttpResponse:
    """A page with one button; pressing it spends the link. Mail programs that open links change nothing."""
    if request.method == "POST":
        try:
            login(request, login_links.spend(token), backend=BACKEND)
        except LinkSpent:
            return render(request, "people/login_link_spent.html", status=GONE)
        return redirect(settings.LOGIN_REDIRECT_URL)
    if not login_links.is_open(token):
        return render(request, "people/login_link_spent.html", status=GONE)
    return render(request, "people/login_link.html")


@require_POST
def log_out(request: HttpRequest) -> HttpResponse:
    """End the session."""
    logout(request)
    messages.success(request, "You are logged out.", extra_tags="good")
    return redirect(settings.LOGOUT_REDIRECT_URL)


@login_not_required
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def sign_up(request: HttpRequest) -> HttpResponse:
    """Make an account, where the operator lets everybody do so."""
    if not settings.SIGN_UP:
        raise Http404("Sign-up is off.")
    form = SignUpForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            user = people.sign_up(**form.cleaned_data)
        except ValidationError as error:
            form.add_error(None, error)
        else:
            login(request, user, backend=BACKEND)
            return redirect(settings.LOGIN_REDIRECT_URL)
    return render(request, "people/sign_up.html", {"form": form})


@login_not_required
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Show an invitation; the POST accepts it, with a new account for a person who is not logged in."""
    found = invitations.find_open(token)
    if found is None:
        return render(request, "people/invitation_over.html", status=GONE)
    form: Form | None = None
    if not request.user.is_authenticated:
        form = SignUpForm(request.POST or None, email=found.email)
    if request.method == "POST" and (form is None or form.is_valid()):
        try:
            return _accept(request, token, form)
        except ValidationError as error:
            if form is None:
                messages.error(request, " ".join(error.messages), extra_tags="bad")
            else:
                form.add_error(None, error)
        except InvitationOver:
            return render(request, "people/invitation_over.html", status=GONE)
    context = {"invitation": found, "role_explained": Role(found.role).explained, "form": form}
    return render(request, "people/invitation.html", context)


def _accept(request: HttpRequest, token: str, form: Form | None) -> HttpResponse:
    if form is None:
        membership = invitations.accept(token=token, user=_person(request))
    else:
        membership = invitations.accept_with_new_account(token=token, **form.cleaned_data)
        login(request, membership.user, backend=BACKEND)
    messages.success(request, f"Welcome to {membership.project.name}.", extra_tags="good")
    return redirect("project", membership.project.slug)


@require_http_methods(["GET", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    """Name, single-key shortcuts, colours."""
    user = _person(request)
    form = ProfileForm(request.POST or None, instance=user, initial={"theme": request.COOKIES.get("theme", "")})
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        people.change_profile(user=user, name=values["name"], shortcuts=values["shortcuts"])
        messages.success(request, "Saved.", extra_tags="good")
        return set_theme(redirect("profile"), request, values["theme"])
    return render(request, "people/profile.html", {"form": form})


@sensitive_post_parameters("old", "password")
@require_http_methods(["GET", "POST"])
def password(request: HttpRequest) -> HttpResponse:
    """A new password. Other devices are logged out by it."""
    user = _person(request)
    form = ChangePasswordForm(user, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            people.set_password(user=user, password=form.cleaned_data["password"])
        except ValidationError as error:
            form.add_error("password", error)
        else:
            before = request.session.session_key or ""
            update_session_auth_hash(request, user)
            sessions.moved(before=before, after=request.session.session_key or "")
            sessions.end_others(user=user, keep=request.session.session_key or "")
            messages.success(request, _changed(user), extra_tags="good")
            return redirect("profile")
    return render(request, "people/password.html", {"form": form})


def _changed(user: User) -> str:
    """What a new password has done, and what it has not."""
    said = "Your password is changed. Other devices are logged out."
    count = sum(not one.is_over for one in tokens_of(user))  # type: ignore[attr-defined]  # set by tokens_of
    if not count:
        return said
    still = "API token still works" if count == 1 else "API tokens still work"
    return format_html(
        '{} Your {} {}: <a href="{}">revoke</a> what others may know.', said, count, still, reverse("tokens")
    )


def client_host(request: HttpRequest) -> str:
    """The address the request came from. X-Forwarded-For is believed only from a proxy of ours, its last entry only."""
    if settings.BEHIND_PROXY:
        return request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")[-1].strip() or request.META["REMOTE_ADDR"]
    return str(request.META.get("REMOTE_ADDR", ""))


def _person(request: HttpRequest) -> User:
    """The logged-in person; LoginRequired has let nobody else through."""
    assert isinstance(request.user, User)
    return request.user


def _next(request: HttpRequest, default: str | None = None) -> str:
    """Where to go after log-in: a page of this server only."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    if url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure()):
        return wanted
    return resolve_url(settings.LOGIN_REDIRECT_URL) if default is None else default
