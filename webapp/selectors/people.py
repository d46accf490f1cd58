"""Members of a project and its open invitations."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils import timezone

from webapp.models import Invitation, Membership, Project, Role


def members_of(project: Project) -> Sequence[Membership]:
    """All members, owners first, then by name."""
    members = Membership.objects.select_related("user").filter(project=project)
    return sorted(members, key=lambda one: (-Role(one.role).level, str(one.user).lower(), one.pk))


def open_invitations(project: Project) -> Sequence[Invitation]:
    """Invitations that would work now, newest first."""
    return list(
        Invitation.objects.select_related("invited_by")
        .filter(project=project, used=None, expires__gt=timezone.now())
        .order_by("-pk")[:100]
    )
