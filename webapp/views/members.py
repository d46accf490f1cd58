"""Members of a project: roles, leaving, invitations."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from webapp.access import project_view
from webapp.forms.people import InvitationForm, RoleForm
from webapp.models import Project, Role
from webapp.services import invitations, memberships
from webapp.views.projects import invitation_key, render_settings


@project_view(Role.OWNER)
@require_POST
def change_role(request: HttpRequest, project: Project, user_id: int) -> HttpResponse:
    """Give a member another role."""
    get_object_or_404(project.memberships, user_id=user_id)
    form = RoleForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Choose one of the four roles.", extra_tags="bad")
        return redirect("project_settings", project.slug)
    try:
        membership = memberships.change_role(
            project=project, user_id=user_id, role=form.cleaned_data["role"], actor=request.user
        )
    except ValidationError as error:
        messages.error(request, error.message, extra_tags="bad")
    else:
        now = f"{membership.user} is {membership.get_role_display().lower()} now."
        messages.success(request, now, extra_tags="good")
    return redirect("project_settings", project.slug)


@project_view(Role.OWNER)
@require_POST
def remove(request: HttpRequest, project: Project, user_id: int) -> HttpResponse:
    """End somebody's membership."""
    membership = get_object_or_404(project.memberships.select_related("user"), user_id=user_id)
    try:
        memberships.remove(project=project, user_id=user_id, actor=request.user)
    except ValidationError as error:
        messages.error(request, error.message, extra_tags="bad")
    else:
        messages.success(request, f"{membership.user} is no longer a member.", extra_tags="good")
    return redirect("project_settings", project.slug)


@project_view(Role.VIEWER)
@require_POST
def leave(request: HttpRequest, project: Project) -> HttpResponse:
    """End one's own membership."""
    try:
        memberships.remove(project=project, user_id=request.user.pk, actor=request.user)
    except ValidationError as error:
        messages.error(request, error.message, extra_tags="bad")
        return redirect("project_settings", project.slug)
    messages.success(request, f"You left “{project.name}”.", extra_tags="good")
    return redirect("home")


@project_view(Role.OWNER)
@require_POST
def invite(request: HttpRequest, project: Project) -> HttpResponse:
    """Make an invitation; the settings page shows its link, this once."""
    form = InvitationForm(request.POST)
    if not form.is_valid():
        return render_settings(request, project, invitation_form=form)
    invitation, path = invitations.invite(project=project, actor=request.user, **form.cleaned_data)
    request.session[invitation_key(project)] = {"pk": invitation.pk, "link": request.build_absolute_uri(path)}
    return redirect("project_settings", project.slug)


@project_view(Role.OWNER)
@require_POST
def revoke(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """Withdraw an invitation."""
    invitation = get_object_or_404(project.invitations, pk=pk)
    try:
        invitations.revoke(invitation=invitation, actor=request.user)
    except ValidationError as error:
        messages.error(request, error.message, extra_tags="bad")
    else:
        messages.success(request, "The invitation is withdrawn. Its link no longer works.", extra_tags="good")
    return redirect("project_settings", project.slug)
