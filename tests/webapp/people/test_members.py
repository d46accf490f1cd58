"""Members, roles, invitations."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone

from webapp.models import Event, Invitation, Membership, Project, Role, User
from webapp.services import deletion, invitations, memberships

PASSWORD = "correct horse battery"


def role_of(project: Project, user: User) -> str | None:
    return Membership.objects.filter(project=project, user=user).values_list("role", flat=True).first()


def invite(project: Project, owner: User, role: Role = Role.REVIEWER, email: str = "") -> str:
    return invitations.invite(project=project, actor=owner, role=role, email=email)[1]


def test_an_owner_changes_a_role(client: Client, project: Project, member: Callable[[str], User]) -> None:
    viewer = member("viewer")
    client.post(f"/p/{project.slug}/members/{viewer.pk}/role/", {"role": "editor"})
    assert role_of(project, viewer) == Role.EDITOR
    event = Event.objects.get(verb="member.changed")
    assert (event.facts["before"], event.facts["role"]) == ("viewer", "editor")


@pytest.mark.parametrize("role", ["god", "", "Owner"])
def test_an_unknown_role_is_refused(client: Client, project: Project, member: Callable[[str], User], role: str) -> None:
    viewer = member("viewer")
    client.post(f"/p/{project.slug}/members/{viewer.pk}/role/", {"role": role})
    assert role_of(project, viewer) == Role.VIEWER


def test_the_last_owner_neither_steps_down_nor_leaves(client: Client, project: Project, owner: User) -> None:
    for path, values in (
        (f"members/{owner.pk}/role/", {"role": "viewer"}),
        (f"members/{owner.pk}/remove/", {}),
        ("leave/", {}),
    ):
        page = client.post(f"/p/{project.slug}/{path}", values, follow=True).content.decode()
        assert "A project needs an owner" in page
    assert role_of(project, owner) == Role.OWNER


@pytest.mark.parametrize("ends", ["removed", "stepped down"])
def test_the_open_links_of_an_owner_end_with_the_ownership(
    project: Project, owner: User, stranger: User, member: Callable[[str], User], ends: str
) -> None:
    second = member("owner")
    theirs, mine = invite(project, second, Role.OWNER), invite(project, owner)
    if ends == "removed":
        memberships.remove(project=project, user_id=second.pk, actor=owner)
    else:
        memberships.change_role(project=project, user_id=second.pk, role=Role.EDITOR, actor=owner)
    found = [invitations.find_open(path.rstrip("/").rsplit("/", 1)[-1]) for path in (theirs, mine)]
    assert (found[0], found[1] is None) == (None, False)


def test_of_two_owners_one_may_leave(
    client: Client, project: Project, owner: User, member: Callable[[str], User]
) -> None:
    second = member("owner")
    assert client.post(f"/p/{project.slug}/leave/")["Location"] == "/"
    with pytest.raises(ValidationError, match="needs an owner"):
        memberships.remove(project=project, user_id=second.pk, actor=second)
    assert role_of(project, owner) is None


@pytest.mark.parametrize("role", ["editor", "reviewer", "viewer"])
def test_only_owners_change_members_and_settings(
    project: Project, owner: User, member: Callable[[str], User], login: Callable[[User], Client], role: str
) -> None:
    person = member(role)
    invitation, _ = invitations.invite(project=project, actor=owner, role=Role.VIEWER)
    browser = login(person)
    for path in (
        "settings/change/", "delete/", "invitations/", f"invitations/{invitation.pk}/revoke/",
        f"members/{owner.pk}/role/", f"members/{person.pk}/remove/",
    ):  # fmt: skip
        answer = browser.post(f"/p/{project.slug}/{path}", {"role": "owner", "name": project.name})
        assert answer.status_code == 403
        assert "needs the role owner" in answer.content.decode()
    page = browser.get(f"/p/{project.slug}/settings/").content.decode()
    assert "Delete the project" not in page
    assert "Invite somebody" not in page
    assert browser.post(f"/p/{project.slug}/leave/")["Location"] == "/"
    assert role_of(project, person) is None


def test_a_member_of_another_project_cannot_be_changed_through_ones_own(
    client: Client, project: Project, stranger: User
) -> None:
    other = Project.objects.create(name="Other")
    Membership.objects.create(project=other, user=stranger, role=Role.OWNER)
    invitation, _ = invitations.invite(project=other, actor=stranger, role=Role.VIEWER)
    for path in (
        f"members/{stranger.pk}/role/", f"members/{stranger.pk}/remove/", f"invitations/{invitation.pk}/revoke/",
    ):  # fmt: skip
        assert client.post(f"/p/{project.slug}/{path}", {"role": "viewer"}).status_code == 404
    assert role_of(other, stranger) == Role.OWNER
    assert Invitation.objects.filter(pk=invitation.pk).exists()


def test_the_link_of_an_invitation_is_shown_once_and_its_hash_stored(client: Client, project: Project) -> None:
    answer = client.post(f"/p/{project.slug}/invitations/", {"role": "editor", "email": "Ed@Example.org"})
    assert answer["Location"] == f"/p/{project.slug}/settings/"
    page = client.get(answer["Location"]).content.decode()
    token = page.split("/invitation/")[1].split("/")[0]
    invitation = Invitation.objects.get()
    assert invitation.token_hash not in page
    assert token not in invitation.token_hash
    assert (invitation.email, invitation.role) == ("ed@example.org", "editor")
    assert timedelta(days=6, hours=23) < invitation.expires - timezone.now() <= timedelta(days=7)
    assert token not in client.get(f"/p/{project.slug}/settings/").content.decode()


def test_the_link_of_a_withdrawn_or_another_projects_invitation_is_not_shown(
    client: Client, project: Project, owner: User
) -> None:
    other = Project.objects.create(name="Other")
    Membership.objects.create(project=other, user=owner, role=Role.OWNER)
    client.post(f"/p/{project.slug}/invitations/", {"role": "editor"})
    assert "/invitation/" not in client.get(f"/p/{other.slug}/settings/").content.decode()
    client.post(f"/p/{project.slug}/invitations/{Invitation.objects.get().pk}/revoke/")
    assert "/invitation/" not in client.get(f"/p/{project.slug}/settings/").content.decode()


def test_looking_at_an_invitation_does_not_spend_it(project: Project, owner: User, stranger: User) -> None:
    path = invite(project, owner)
    browser = Client()
    browser.force_login(stranger)
    for _ in range(2):
        assert "Join the project" in browser.get(path).content.decode()
    assert role_of(project, stranger) is None
    assert browser.post(path)["Location"] == f"/p/{project.slug}/"
    assert role_of(project, stranger) == Role.REVIEWER
    assert Client().get(path).status_code == 410
    assert browser.post(path).status_code == 410


def test_an_invitation_lets_a_new_person_make_an_account_while_sign_up_is_off(project: Project, owner: User) -> None:
    path = invite(project, owner, Role.EDITOR)
    browser = Client()
    answer = browser.post(path, {"email": "new@example.org", "name": "Nora", "password": PASSWORD})
    assert answer["Location"] == f"/p/{project.slug}/"
    new = User.objects.get(email="new@example.org")
    assert role_of(project, new) == Role.EDITOR
    assert browser.get(f"/p/{project.slug}/").status_code == 200
    assert Invitation.objects.get().used_by == new


def test_an_invitation_to_an_address_fixes_the_address(project: Project, owner: User, stranger: User) -> None:
    path = invite(project, owner, email="ed@example.org")
    taken = Client()
    taken.force_login(stranger)
    page = taken.post(path).content.decode()
    assert "This invitation is for ed@example.org" in page
    assert role_of(project, stranger) is None
    Client().post(path, {"email": "mallory@example.org", "name": "Ed", "password": PASSWORD})
    assert not User.objects.filter(email="mallory@example.org").exists()
    assert role_of(project, User.objects.get(email="ed@example.org")) == Role.REVIEWER


def test_a_refused_account_leaves_the_invitation_open(project: Project, owner: User) -> None:
    path = invite(project, owner)
    weak = Client().post(path, {"email": "new@example.org", "name": "Nora", "password": "short"})
    assert weak.context["form"].errors["password"]
    taken = Client().post(path, {"email": owner.email, "name": "Nora", "password": PASSWORD})
    assert "Log in instead" in taken.content.decode()
    assert Client().get(path).status_code == 200
    assert User.objects.count() == 1


def test_an_invitation_raises_a_role_and_never_lowers_one(
    project: Project, owner: User, member: Callable[[str], User]
) -> None:
    viewer = member("viewer")
    for user, role, then in (
        (viewer, Role.EDITOR, "editor"),
        (viewer, Role.VIEWER, "editor"),
        (owner, Role.VIEWER, "owner"),
    ):
        browser = Client()
        browser.force_login(user)
        browser.post(invite(project, owner, role))
        assert role_of(project, user) == then


def test_a_withdrawn_a_late_and_a_deleted_projects_invitation_are_over(
    client: Client, project: Project, owner: User
) -> None:
    paths = [invite(project, owner) for _ in range(3)]
    first, second, _ = Invitation.objects.order_by("pk")
    client.post(f"/p/{project.slug}/invitations/{first.pk}/revoke/")
    Invitation.objects.filter(pk=second.pk).update(expires=timezone.now() - timedelta(seconds=1))
    deletion.delete(project=project, actor=owner)
    for path in [*paths, "/invitation/nonsense/", "/invitation/%00%F0/"]:
        assert Client().get(path).status_code == 410
        assert Client().post(path, {"email": "a@example.org", "name": "A", "password": PASSWORD}).status_code == 410


def test_a_used_invitation_cannot_be_withdrawn(client: Client, project: Project, owner: User, stranger: User) -> None:
    path = invite(project, owner)
    invitations.accept(token=path.split("/")[2], user=stranger)
    page = client.post(f"/p/{project.slug}/invitations/{Invitation.objects.get().pk}/revoke/", follow=True)
    assert "Remove the member instead" in page.content.decode()
    assert role_of(project, stranger) == Role.REVIEWER


def test_only_owners_see_the_open_invitations(
    project: Project, owner: User, member: Callable[[str], User], login: Callable[[User], Client], client: Client
) -> None:
    invite(project, owner, email="ed@example.org")
    page: Any = f"/p/{project.slug}/settings/"
    assert "ed@example.org" in client.get(page).content.decode()
    assert "ed@example.org" not in login(member("editor")).get(page).content.decode()
