"""Open browsers: noted without a write per request, listed in words, ended one by one or all others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from webapp.models import ApiToken, Event, OpenSession, User
from webapp.selectors.sessions import browsers_of, in_words
from webapp.services import sessions

PASSWORD = "correct horse battery"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    """A process that has noted nothing yet."""
    sessions._noted.clear()
    yield
    sessions._noted.clear()


def browser(user: User, agent: str = FIREFOX) -> Client:
    made = Client(headers={"User-Agent": agent})
    answer = made.post("/login/", {"email": user.email, "password": PASSWORD})
    assert answer.status_code == 302
    return made


def test_logging_in_notes_the_browser_and_logging_out_forgets_it(owner: User) -> None:
    one = browser(owner)
    row = OpenSession.objects.get()
    assert (row.user, row.session_key, row.agent) == (owner, one.session.session_key, FIREFOX)
    one.post("/logout/")
    assert not OpenSession.objects.exists()


def test_requests_within_five_minutes_write_nothing(owner: User) -> None:
    one = browser(owner)
    with CaptureQueriesContext(connection) as queries:
        for _ in range(3):
            one.get("/profile/")
    assert not [query["sql"] for query in queries if query["sql"].startswith(("INSERT", "UPDATE", "DELETE"))]
    assert not [query["sql"] for query in queries if "opensession" in query["sql"]]


def test_use_is_noted_again_after_five_minutes(owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    one = browser(owner)
    before = timezone.now() - timedelta(hours=1)
    OpenSession.objects.update(last_seen=before)
    sessions._noted[str(one.session.session_key)] -= sessions.EVERY.total_seconds() + 1
    one.get("/profile/")
    assert OpenSession.objects.get().last_seen > before


def test_another_process_that_notes_it_too_writes_nothing(owner: User) -> None:
    one = browser(owner)
    seen = OpenSession.objects.get().last_seen
    sessions._noted.clear()
    one.get("/profile/")
    assert OpenSession.objects.get().last_seen == seen


def test_a_session_from_before_there_was_a_list_joins_it(owner: User) -> None:
    one = browser(owner)
    OpenSession.objects.all().delete()
    sessions._noted.clear()
    one.get("/profile/")
    assert OpenSession.objects.get().session_key == one.session.session_key


def test_the_page_lists_ones_own_browsers_this_one_first(owner: User, stranger: User) -> None:
    here, there = browser(owner), browser(owner, "curl/8.0")
    browser(stranger, "Opera OPR/1")
    page = here.get("/profile/sessions/").content.decode()
    assert page.index("Firefox on Linux") < page.index("Curl")
    assert page.count("this one<") == 1 and "Opera" not in page
    assert str(there.session.session_key) not in page and str(here.session.session_key) not in page
    assert page.count("btn-primary") == 1


def test_one_that_ran_out_is_not_listed_and_is_forgotten_at_the_next_log_in(owner: User) -> None:
    old = browser(owner)
    Session.objects.filter(session_key=old.session.session_key).update(expire_date=timezone.now())
    new = browser(owner)
    assert [one.is_this for one in browsers_of(owner, new.session.session_key)] == [True]
    assert OpenSession.objects.count() == 1


def test_ending_one_logs_that_browser_out(owner: User) -> None:
    here, there = browser(owner), browser(owner)
    row = OpenSession.objects.get(session_key=there.session.session_key)
    assert here.post(f"/profile/sessions/{row.pk}/end/")["Location"] == "/profile/sessions/"
    assert there.get("/profile/").status_code == 302
    assert here.get("/profile/").status_code == 200
    assert Event.objects.filter(verb="person.ended_sessions", actor=owner).count() == 1


def test_ending_this_one_logs_out_here(owner: User) -> None:
    here = browser(owner)
    row = OpenSession.objects.get()
    assert here.post(f"/profile/sessions/{row.pk}/end/")["Location"] == "/login/"
    assert here.get("/profile/").status_code == 302
    assert not OpenSession.objects.exists()


def test_nobody_ends_another_persons_browser(owner: User, stranger: User) -> None:
    mine, theirs = browser(owner), browser(stranger)
    row = OpenSession.objects.get(user=stranger)
    assert mine.post(f"/profile/sessions/{row.pk}/end/").status_code == 404
    mine.post("/profile/sessions/end/")
    assert theirs.get("/profile/").status_code == 200


def test_ending_all_others_leaves_this_one(owner: User) -> None:
    here, *others = [browser(owner) for _ in range(3)]
    page = here.post("/profile/sessions/end/", follow=True).content.decode()
    assert "2 other browsers logged out." in page
    assert [one.get("/profile/").status_code for one in (here, *others)] == [200, 302, 302]
    assert "You are logged in nowhere else." in here.post("/profile/sessions/end/", follow=True).content.decode()


def test_a_new_password_ends_all_others_and_keeps_this_one(owner: User) -> None:
    here, there = browser(owner), browser(owner)
    given = {"old": PASSWORD, "password": "another horse battery"}
    assert here.post("/profile/password/", given)["Location"] == "/profile/"
    assert here.get("/profile/").status_code == 200
    assert there.get("/profile/").status_code == 302
    assert OpenSession.objects.get().session_key == here.session.session_key
    assert not Session.objects.filter(session_key=there.session.session_key).exists()


def test_a_new_password_says_that_tokens_go_on_working(owner: User) -> None:
    here = browser(owner)
    for number, days in enumerate((None, 3, -3)):
        expires = None if days is None else timezone.now() + timedelta(days=days)
        ApiToken.objects.create(user=owner, name="t", prefix="sptar_x", token_hash=str(number), expires=expires)
    given = {"old": PASSWORD, "password": "another horse battery"}
    page = here.post("/profile/password/", given, follow=True).content.decode()
    assert 'Your 2 API tokens still work: <a href="/profile/tokens/">revoke</a>' in page
    ApiToken.objects.all().delete()
    given = {"old": "another horse battery", "password": PASSWORD}
    assert "still work" not in here.post("/profile/password/", given, follow=True).content.decode()


def test_a_log_in_link_opens_a_browser_too(owner: User, login: Callable[[User], Client]) -> None:
    login(owner)
    assert OpenSession.objects.filter(user=owner, agent="").count() == 1
    assert [one.words for one in browsers_of(owner, None)] == ["Unknown browser"]


def test_whatever_a_browser_says_of_itself_is_text(owner: User) -> None:
    nasty = "<script>alert(1)</script>" + "x" * 1000
    here = browser(owner, nasty)
    assert len(OpenSession.objects.get().agent) == 300
    assert "<script>alert" not in here.get("/profile/sessions/").content.decode()


def test_memory_of_what_was_noted_is_bounded(owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "_REMEMBERED", 2)
    for number in range(5):
        sessions.opened(user=owner, session_key=str(number), agent="")
    assert list(sessions._noted) == ["3", "4"]


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (FIREFOX, "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537 Chrome/130 Safari/537 Edg/130", "Edge on Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X) AppleWebKit Chrome/130 Safari/537", "Chrome on a Mac"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18 like Mac OS X) Version/18 Safari/604", "Safari on an iPhone"),
        ("Mozilla/5.0 (Linux; Android 15) Chrome/130 Mobile Safari/537", "Chrome on Android"),
        ("python-requests/2", "A Python program"),
        ("something on Windows", "A browser on Windows"),
        ("", "Unknown browser"),
    ],
)
def test_browsers_have_names(agent: str, words: str) -> None:
    assert in_words(agent) == words
