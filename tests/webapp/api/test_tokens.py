"""Tokens: shown once, kept as a hash, never more than their person."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone

from tests.webapp.api.conftest import JSON, Program
from webapp.models import ApiToken, Event, Membership, Project, Role, User
from webapp.services import api_tokens
from webapp.services.tokens import hash_token


def test_a_token_is_shown_once_and_kept_as_a_hash(client: Client, owner: User) -> None:
    answer = client.post("/profile/tokens/", {"name": "nightly", "scope": "run", "project": "", "days": "90"})
    token = ApiToken.objects.get()
    text = answer.content.decode().split('id="token-text" value="')[1].split('"')[0]
    assert text.startswith("sptar_") and len(text) == 49
    assert token.token_hash == hash_token(text)
    assert text.startswith(token.prefix) and len(token.prefix) == 12
    assert (token.user, token.scope, token.project) == (owner, "run", None)
    assert timedelta(days=89) < token.expires - timezone.now() < timedelta(days=91)
    later = client.get("/profile/tokens/").content.decode()
    assert text not in later
    assert "nightly" in later and token.prefix in later
    assert "no-store" in answer["Cache-Control"]
    assert Client(headers={"Authorization": f"Bearer {text}"}).get("/api/v1/me/").json()["email"] == owner.email


def test_a_token_for_one_project_is_chosen_among_ones_own(
    client: Client, project: Project, stranger: User
) -> None:  # fmt: skip
    other = Project.objects.create(name="Other")
    Membership.objects.create(project=other, user=stranger, role=Role.OWNER)
    refused = client.post("/profile/tokens/", {"name": "n", "scope": "read", "project": other.slug, "days": ""})
    assert not ApiToken.objects.exists()
    assert "Select a valid choice" in refused.content.decode()
    client.post("/profile/tokens/", {"name": "n", "scope": "read", "project": project.slug, "days": ""})
    assert (ApiToken.objects.get().project, ApiToken.objects.get().expires) == (project, None)


def test_a_revoked_token_stops_working_at_once(client: Client, api: Client, owner: User) -> None:
    assert api.get("/api/v1/me/").status_code == 200
    token = ApiToken.objects.get()
    assert client.post(f"/profile/tokens/{token.pk}/revoke/").status_code == 302
    answer = api.get("/api/v1/me/")
    assert (answer.status_code, answer["Content-Type"]) == (401, "application/problem+json")
    assert "expired or revoked" in answer.json()["detail"]
    client.post(f"/profile/tokens/{token.pk}/revoke/")
    assert Event.objects.filter(verb="token.revoked", actor=owner).count() == 1


def test_nobody_revokes_the_token_of_another_person(
    api: Client, stranger: User, login: Callable[[User], Client]
) -> None:  # fmt: skip
    assert login(stranger).post(f"/profile/tokens/{ApiToken.objects.get().pk}/revoke/").status_code == 404
    assert api.get("/api/v1/me/").status_code == 200


def test_an_expired_token_and_one_of_a_closed_account_do_not_work(program: Program, owner: User) -> None:
    old = program(owner, expires=timezone.now() - timedelta(seconds=1))
    assert old.get("/api/v1/me/").status_code == 401
    young = program(owner, expires=timezone.now() + timedelta(minutes=1))
    assert young.get("/api/v1/me/").status_code == 200
    User.objects.filter(pk=owner.pk).update(is_active=False)
    assert young.get("/api/v1/me/").status_code == 401


def test_the_last_use_is_kept_to_the_minute(api: Client) -> None:
    api.get("/api/v1/me/")
    first = ApiToken.objects.get().last_used
    assert timezone.now() - first < timedelta(minutes=1)
    api.get("/api/v1/me/")
    assert ApiToken.objects.get().last_used == first
    ApiToken.objects.update(last_used=first - timedelta(minutes=2))
    api.get("/api/v1/me/")
    assert ApiToken.objects.get().last_used >= first


@pytest.mark.parametrize(
    ("scope", "read", "judge", "write"), [("read", 200, 403, 403), ("label", 200, 400, 403), ("run", 200, 400, 400)]
)
def test_a_scope_limits_what_the_role_allows(
    program: Program, owner: User, base: str, corpus: object, scope: str, read: int, judge: int, write: int
) -> None:
    query = program(owner).post(f"{base}queries/", {"text": "who"}, content_type=JSON).json()["id"]
    one = program(owner, scope)
    assert one.get(f"{base}queries/").status_code == read
    judged = one.post(f"{base}queries/{query}/judgements/", {}, content_type=JSON)
    assert judged.status_code == judge
    assert one.post(f"{base}queries/", {}, content_type=JSON).status_code == write
    if judge == 403:
        assert "this needs one for “judge and review” (the scope label)" in judged.json()["detail"]


@pytest.mark.parametrize("scope", ApiToken.Scope.values)
def test_a_token_never_does_more_than_its_person(
    program: Program, member: Callable[[str], User], base: str, scope: str
) -> None:
    one = program(member("viewer"), scope)
    assert one.get(f"{base}queries/").status_code == 200
    answer = one.post(f"{base}queries/", {"text": "who"}, content_type=JSON)
    assert answer.status_code == 403
    assert "Your role here is viewer" in answer.json()["detail"]


def test_a_token_of_one_project_opens_no_other(program: Program, owner: User, project: Project) -> None:
    other = Project.objects.create(name="Other")
    Membership.objects.create(project=other, user=owner, role=Role.OWNER)
    one = program(owner, project=project)
    assert [row["slug"] for row in one.get("/api/v1/projects/").json()["results"]] == [project.slug]
    assert one.get(f"/api/v1/projects/{other.slug}/").status_code == 404
    assert one.get(f"/api/v1/projects/{project.slug}/").status_code == 200
    refused = one.post("/api/v1/projects/", {"name": "Third"}, content_type=JSON)
    assert (refused.status_code, Project.objects.count()) == (403, 2)


def test_a_person_who_leaves_takes_their_tokens_along(
    program: Program, member: Callable[[str], User], base: str
) -> None:  # fmt: skip
    person = member("editor")
    one = program(person)
    assert one.get(base).status_code == 200
    Membership.objects.filter(user=person).delete()
    assert one.get(base).status_code == 404


def test_nobody_has_more_tokens_than_the_limit(owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_tokens, "MOST", 2)
    first, _ = api_tokens.make(user=owner, name="1", scope="read")
    api_tokens.make(user=owner, name="2", scope="read")
    with pytest.raises(ValidationError, match="2 tokens already"):
        api_tokens.make(user=owner, name="3", scope="read")
    api_tokens.revoke(token=first, actor=owner)
    api_tokens.make(user=owner, name="3", scope="read")


def test_the_text_of_a_token_is_in_no_event_log_line_or_error_page(
    owner: User, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, base: str
) -> None:
    _, text = api_tokens.make(user=owner, name="a program", scope="read")
    program = Client(raise_request_exception=False, headers={"Authorization": f"Bearer {text}"})

    def fail(*arguments: object, **named: object) -> None:
        raise RuntimeError("broken on purpose")

    with caplog.at_level(logging.DEBUG):
        program.get("/api/v1/me/")
        program.get("/api/v1/nothing/")
        program.post(f"{base}queries/", "{", content_type=JSON)
        monkeypatch.setattr("webapp.api.projects.steps_of", fail)
        broken = program.get(base)
    assert broken.status_code == 500
    secret = text.removeprefix("sptar_")
    assert secret not in broken.content.decode()
    assert secret not in caplog.text
    assert not any(secret in str(event.facts) for event in Event.objects.all())
    assert secret not in str(ApiToken.objects.values())
