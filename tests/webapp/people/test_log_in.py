"""Log-in by password and by link, log-out, profile, sign-up."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from webapp.models import Event, LoginAttempt, LoginLink, Project, User
from webapp.services import login_links
from webapp.services.tokens import hash_token

PASSWORD = "correct horse battery"


def post_login(client: Client, email: str, password: str, **extra: Any) -> Any:
    return client.post("/login/", {"email": email, "password": password}, **extra)


def test_the_right_password_logs_in_and_goes_where_the_person_wanted(owner: User) -> None:
    browser = Client()
    answer = browser.post("/login/?next=/profile/", {"email": "OWNER@example.org ", "password": PASSWORD})
    assert (answer.status_code, answer["Location"]) == (302, "/profile/")
    assert browser.get("/profile/").status_code == 200
    assert Event.objects.filter(verb="person.logged_in", actor=owner).count() == 1


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "/\\evil.example"]
)
def test_log_in_never_leads_to_another_server(owner: User, target: str) -> None:
    answer = Client().post("/login/", {"email": owner.email, "password": PASSWORD, "next": target})
    assert answer["Location"] == "/"


@pytest.mark.parametrize(("email", "password"), [("owner@example.org", "wrong"), ("nobody@example.org", PASSWORD)])
def test_a_wrong_password_and_an_unknown_address_get_the_same_sentence(owner: User, email: str, password: str) -> None:
    answer = post_login(Client(), email, password)
    assert answer.status_code == 200
    assert "do not belong together" in answer.content.decode()


def test_after_ten_wrong_passwords_even_the_right_one_waits(owner: User) -> None:
    for _ in range(10):
        assert "do not belong together" in post_login(Client(), owner.email, "wrong").content.decode()
    for password in ["wrong"] * 10 + [PASSWORD]:
        answer = post_login(Client(), owner.email, password, REMOTE_ADDR="10.9.8.7")
        assert "Log-in pauses for 10 minutes" in answer.content.decode()
    assert "_auth_user_id" not in Client().session


def test_ten_wrong_passwords_from_one_host_pause_it_for_every_address(owner: User, stranger: User) -> None:
    for number in range(10):
        post_login(Client(), f"guess{number}@example.org", "wrong")
    assert "pauses" in post_login(Client(), owner.email, PASSWORD).content.decode()
    assert post_login(Client(), owner.email, PASSWORD, REMOTE_ADDR="10.9.8.7").status_code == 302


def test_the_pause_ends_by_itself(owner: User) -> None:
    for _ in range(12):
        post_login(Client(), owner.email, "wrong")
    LoginAttempt.objects.update(at=timezone.now() - timedelta(seconds=601))
    assert post_login(Client(), owner.email, PASSWORD).status_code == 302
    assert not LoginAttempt.objects.exists()


def test_a_right_password_does_not_clear_the_guesses_of_its_host_at_others(owner: User) -> None:
    for number in range(9):
        post_login(Client(), f"guess{number}@example.org", "wrong")
    assert post_login(Client(), owner.email, PASSWORD).status_code == 302
    post_login(Client(), "guess9@example.org", "wrong")
    assert "pauses" in post_login(Client(), "guess10@example.org", "wrong").content.decode()


def test_forwarded_addresses_are_believed_from_a_proxy_of_ours_only(owner: User, settings: Any) -> None:
    for number in range(10):
        post_login(Client(), f"guess{number}@example.org", "wrong", HTTP_X_FORWARDED_FOR=f"10.0.0.{number}")
    assert "pauses" in post_login(Client(), owner.email, PASSWORD).content.decode()
    settings.BEHIND_PROXY = True
    answer = post_login(Client(), owner.email, PASSWORD, HTTP_X_FORWARDED_FOR="127.0.0.1, 10.9.9.9")
    assert answer.status_code == 302


def test_a_person_who_was_switched_off_cannot_log_in(owner: User) -> None:
    User.objects.filter(pk=owner.pk).update(is_active=False)
    assert post_login(Client(), owner.email, PASSWORD).status_code == 200


def test_log_out_needs_a_post(client: Client) -> None:
    assert client.get("/logout/").status_code == 405
    assert client.post("/logout/")["Location"] == "/login/"
    assert client.get("/")["Location"] == "/login/?next=/"


@pytest.mark.parametrize(
    ("sent_from", "back"),
    [
        ("http://testserver/glossary/?a=b", "/glossary/?a=b"),
        ("https://evil.example/x", "/"),
        ("http://testserver//evil.example", "/evil.example"),
        ("", "/"),
    ],
)
def test_who_sent_a_form_after_the_session_ended_comes_back_to_its_page(db: None, sent_from: str, back: str) -> None:
    answer = Client().post("/sample/", headers={"Referer": sent_from} if sent_from else {})
    assert parse_qs(urlsplit(answer["Location"]).query) == {"next": [back]}


def test_a_log_in_link_works_once_and_only_by_its_button(owner: User) -> None:
    path = login_links.make(owner)
    browser = Client()
    for _ in range(2):
        assert "Your log-in link" in browser.get(path).content.decode()
    assert "_auth_user_id" not in browser.session
    assert browser.post(path)["Location"] == "/"
    assert browser.session["_auth_user_id"] == str(owner.pk)
    for again in (Client().get(path), Client().post(path)):
        assert again.status_code == 410
        assert "no longer works" in again.content.decode()


def test_only_the_hash_of_a_log_in_link_is_stored(owner: User) -> None:
    token = login_links.make(owner).rstrip("/").rpartition("/")[2]
    link = LoginLink.objects.get()
    assert link.token_hash == hash_token(token)
    assert len(token) == 43
    assert token not in str(Event.objects.values_list("facts", flat=True))


def test_a_log_in_link_ends_after_15_minutes_and_with_a_newer_one(owner: User) -> None:
    first = login_links.make(owner)
    second = login_links.make(owner)
    assert Client().get(first).status_code == 410
    LoginLink.objects.update(expires=timezone.now() - timedelta(seconds=1))
    assert Client().post(second).status_code == 410
    made = LoginLink.objects.latest("pk")
    assert timedelta(minutes=14) < login_links.LIFETIME <= timedelta(minutes=15)
    assert made.used is None


def test_an_operator_makes_accounts_from_the_command_line(db: None) -> None:
    out = StringIO()
    call_command("addperson", "Ops@Example.org", "--name", "Ola", "--operator", stdout=out)
    person = User.objects.get(email="ops@example.org")
    assert (person.name, person.is_staff, person.has_usable_password()) == ("Ola", True, False)
    browser = Client()
    assert browser.post(out.getvalue().strip().removeprefix("http://127.0.0.1:8000"))["Location"] == "/"
    assert browser.get("/system/").status_code == 200
    for wrong in ("ops@example.org", "no address"):
        with pytest.raises(CommandError):
            call_command("addperson", wrong, stdout=out)


def test_sign_up_is_off_and_its_page_does_not_exist(db: None) -> None:
    assert Client().get("/sign-up/").status_code == 404
    assert Client().post("/sign-up/", {}).status_code == 404
    page = Client().get("/login/").content.decode()
    assert "ask the owner of a project for an invitation link" in page
    assert "/sign-up/" not in page


def test_sign_up_makes_an_account_where_the_operator_allows_it(db: None, settings: Any) -> None:
    settings.SIGN_UP = True
    browser = Client()
    answer = browser.post("/sign-up/", {"email": "New@Example.org", "name": "Nora", "password": PASSWORD})
    assert answer["Location"] == "/"
    assert User.objects.get(email="new@example.org").name == "Nora"
    again = Client().post("/sign-up/", {"email": "new@example.org", "name": "Nora", "password": PASSWORD})
    assert "Log in instead" in again.content.decode()


@pytest.mark.parametrize("password", ["short", "1234567890123", "password123", "new@example.org"])
def test_a_weak_password_is_refused_with_a_sentence_at_the_field(db: None, settings: Any, password: str) -> None:
    settings.SIGN_UP = True
    answer = Client().post("/sign-up/", {"email": "new@example.org", "name": "Nora", "password": password})
    assert answer.status_code == 200
    assert answer.context["form"].errors["password"]
    assert not User.objects.exists()


def test_the_profile_keeps_name_shortcuts_and_colours(client: Client, owner: User) -> None:
    answer = client.post("/profile/", {"name": "Olga II", "theme": "dark"})
    assert answer["Location"] == "/profile/"
    assert client.cookies["theme"].value == "dark"
    owner.refresh_from_db()
    assert (owner.name, owner.shortcuts) == ("Olga II", False)
    page = client.get("/profile/").content.decode()
    assert 'data-theme="dark"' in page
    assert 'data-shortcuts="off"' in page
    client.post("/profile/", {"name": "Olga II", "shortcuts": "on", "theme": ""})
    assert client.cookies["theme"].value == ""


def test_a_new_password_needs_the_present_one_and_ends_other_sessions(
    client: Client, owner: User, login: Callable[[User], Client]
) -> None:
    other = login(owner)
    wrong = client.post("/profile/password/", {"old": "wrong", "password": "a quite different phrase"})
    assert "not your present password" in wrong.content.decode()
    weak = client.post("/profile/password/", {"old": PASSWORD, "password": "short"})
    assert weak.context["form"].errors["password"]
    assert (
        client.post("/profile/password/", {"old": PASSWORD, "password": "a quite different phrase"}).status_code == 302
    )
    assert client.get("/profile/").status_code == 200
    assert other.get("/profile/").status_code == 302


def test_a_person_without_a_password_may_set_one(db: None, login: Callable[[User], Client]) -> None:
    user = User.objects.create_user("link@example.org")
    browser = login(user)
    assert "Set a password" in browser.get("/profile/").content.decode()
    assert browser.post("/profile/password/", {"password": "a quite different phrase"}).status_code == 302
    user.refresh_from_db()
    assert user.check_password("a quite different phrase")


def test_the_colours_are_in_the_page_itself_once_chosen(client: Client) -> None:
    assert "data-bs-theme" not in client.get("/glossary/").content.decode()
    client.post("/theme/", {"theme": "dark"})
    page = client.get("/glossary/").content.decode()
    assert 'data-bs-theme="dark"' in page
    assert '<meta name="color-scheme" content="dark">' in page


def test_the_colours_never_lead_to_an_address_that_only_takes_forms(client: Client, project: Project) -> None:
    """A page drawn by a POST stands at such an address."""
    page = client.post(f"/p/{project.slug}/settings/change/", {"name": ""}).content.decode()
    assert f'name="next" value="/p/{project.slug}/"' in page
    assert 'name="next" value="/glossary/?a=b"' in client.get("/glossary/?a=b").content.decode()


@pytest.mark.parametrize(("chosen", "kept"), [("dark", "dark"), ("light", "light"), ("", ""), ('"><script>', "")])
def test_the_colours_stay_in_a_cookie(db: None, chosen: str, kept: str) -> None:
    browser = Client()
    answer = browser.post("/theme/", {"theme": chosen, "next": "/glossary/"})
    assert answer["Location"] == "/glossary/"
    assert (browser.cookies["theme"].value if "theme" in browser.cookies else "") == kept
    assert browser.post("/theme/", {"theme": "dark", "next": "https://evil.example/"})["Location"] == "/"
