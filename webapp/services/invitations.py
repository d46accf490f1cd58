"""Invitations by link: made, revoked, accepted. The token is shown once; only its hash is stored."""

from __future__ import annotations

from datetime import timedelta

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone

from webapp.models import Invitation, Membership, Project, Role, User
from webapp.services import events, memberships, people
from webapp.services.tokens import hash_token, make_token

LIFETIME = timedelta(days=7)


class InvitationOver(ValueError):
    """The invitation was used, withdrawn, is too old, or never existed."""


@transaction.atomic
def invite(*, project: Project, actor: User, role: Role, email: str = "") -> tuple[Invitation, str]:
    """Open a place in the project; return it and the path of its link, which nobody can see again."""
    token, token_hash = make_token()
    invitation = Invitation(
        project=project, email=email.strip().lower(), role=role, token_hash=token_hash, invited_by=actor,
        expires=timezone.now() + LIFETIME,
    )  # fmt: skip
    invitation.full_clean()
    invitation.save()
    events.record("member.invited", project=project, actor=actor, role=role, email=invitation.email)
    return invitation, reverse("invitation", args=[token])


@transaction.atomic
def revoke(*, invitation: Invitation, actor: User) -> None:
    """Close an open place. Raises ValidationError when somebody has used it."""
    if not Invitation.objects.filter(pk=invitation.pk, used=None).delete()[0]:
        raise ValidationError("This invitation was used already. Remove the member instead.")
    events.record(
        "invitation.revoked", project=invitation.project, actor=actor, role=invitation.role, email=invitation.email
    )


def find_open(token: str) -> Invitation | None:
    """The invitation of a link that would work now. Changes nothing."""
    return _open(token).select_related("project", "invited_by").first()


@transaction.atomic
def accept(*, token: str, user: User) -> Membership:
    """Make the person a member and use the link up. Raises InvitationOver, ValidationError for another's address."""
    invitation = _take(token)
    if invitation.email and invitation.email != user.email:
        raise ValidationError(
            f"This invitation is for {invitation.email}; you are logged in as {user.email}. "
            "Log out and open the link again, or ask for an invitation without an address."
        )
    Invitation.objects.filter(pk=invitation.pk).update(used_by=user)
    membership = memberships.join(project=invitation.project, user=user, role=Role(invitation.role))
    events.record("member.joined", project=invitation.project, actor=user, role=membership.role)
    return membership


@transaction.atomic
def accept_with_new_account(*, token: str, email: str, name: str, password: str) -> Membership:
    """Make an account, even where sign-up is off, and the person a member. Raises as `people.sign_up` and `accept`."""
    invitation = find_open(token)
    if invitation is None:
        raise InvitationOver(_OVER)
    user = people.sign_up(email=invitation.email or email, name=name, password=password)
    return accept(token=token, user=user)


_OVER = "This invitation was used already, was withdrawn, or is older than 7 days. Ask for a new one."


def _take(token: str) -> Invitation:
    invitation = find_open(token)
    if invitation is None or not Invitation.objects.filter(pk=invitation.pk, used=None).update(used=timezone.now()):
        raise InvitationOver(_OVER)
    return invitation


def _open(token: str) -> QuerySet[Invitation]:
    return Invitation.objects.filter(
        token_hash=hash_token(token), used=None, expires__gt=timezone.now(), project__deleted=None
    )
