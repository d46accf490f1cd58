"""Members of a project and their roles. There is always an owner."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from webapp.models import Invitation, Membership, Project, Role, User
from webapp.services import events

LAST_OWNER = "A project needs an owner. Make another member owner first."


@transaction.atomic
def change_role(*, project: Project, user_id: int, role: Role, actor: User) -> Membership:
    """Give a member another role. Raises ValidationError for the last owner, Membership.DoesNotExist for nobody."""
    members = _locked(project)
    membership = _find(members, user_id)
    if membership.role == role:
        return membership
    before = membership.role
    if before == Role.OWNER:
        _must_leave_an_owner(members, membership)
    membership.role = role
    membership.full_clean()
    membership.save(update_fields=["role"])
    if before == Role.OWNER:
        _close_invitations(project, membership)
    events.record("member.changed", project=project, actor=actor, member=str(membership.user), before=before, role=role)
    return membership


@transaction.atomic
def remove(*, project: Project, user_id: int, actor: User) -> None:
    """End a membership; by oneself it is leaving. What the person did stays. Raises as `change_role` does."""
    members = _locked(project)
    membership = _find(members, user_id)
    if membership.role == Role.OWNER:
        _must_leave_an_owner(members, membership)
    membership.delete()
    _close_invitations(project, membership)
    verb = "member.left" if user_id == actor.pk else "member.removed"
    events.record(verb, project=project, actor=actor, member=str(membership.user), role=membership.role)


@transaction.atomic
def join(*, project: Project, user: User, role: Role) -> Membership:
    """Make the person a member, or raise their role; a higher role they have already stays."""
    members = _locked(project)
    membership = next((member for member in members if member.user_id == user.pk), None)
    if membership is None:
        membership = Membership(project=project, user=user, role=role)
        membership.full_clean()
        membership.save()
    elif Role(membership.role).level < role.level:
        membership.role = role
        membership.save(update_fields=["role"])
    return membership


def _locked(project: Project) -> list[Membership]:
    """All members, once this transaction alone may change them (two owners may leave at the same moment)."""
    Project.objects.select_for_update().get(pk=project.pk, deleted=None)
    return list(Membership.objects.select_related("user").filter(project=project))


def _find(members: list[Membership], user_id: int) -> Membership:
    for membership in members:
        if membership.user_id == user_id:
            return membership
    raise Membership.DoesNotExist("This person is not a member of the project.")


def _close_invitations(project: Project, membership: Membership) -> None:
    """The open links of a person who may invite no longer are over: their owner could come back by one of them."""
    links = Invitation.objects.filter(project=project, invited_by=membership.user_id, used=None)
    links.filter(expires__gt=timezone.now()).update(expires=timezone.now())


def _must_leave_an_owner(members: list[Membership], membership: Membership) -> None:
    if not any(other.role == Role.OWNER and other.pk != membership.pk for other in members):
        raise ValidationError(LAST_OWNER, code="last_owner")
