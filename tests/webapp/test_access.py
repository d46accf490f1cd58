"""Who may open what, generated from the URL conf (T35, T36, T38, T39).

Every address has a line in url_cases.py; a new one without a line fails here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, get_resolver, reverse
from rest_framework.permissions import IsAuthenticated

from tests.webapp.rows import Rows, furnish
from tests.webapp.url_cases import CASES, Case
from webapp.api.authentication import Bearer, Session
from webapp.api.throttling import PersonLimit
from webapp.models import Membership, Project, Role, User

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
PROJECT = [name for name, case in CASES.items() if case.role]
WITH_IDS = [name for name in PROJECT if any(isinstance(row, str) for row in CASES[name].ids.values())]
PUBLIC = [name for name, case in CASES.items() if case.public]
PRIVATE = [name for name in CASES if name not in PUBLIC]
POST_ONLY = [name for name, case in CASES.items() if case.methods == ("POST",)]
PAGES_THAT_TAKE_FORMS = [name for name in POST_ONLY if not CASES[name].api]
API = [name for name, case in CASES.items() if case.api]
READABLE = [name for name, case in CASES.items() if "GET" in case.methods]


def walk(patterns: list[Any], prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield route, pattern
        else:
            yield from walk(pattern.url_patterns, route)


URLS = {pattern.name: (route, pattern) for route, pattern in walk(get_resolver().url_patterns)}


def address(name: str, rows: Rows, slug: str = "") -> str:
    """The address of a route with the ids of the furnished project."""
    case: Case = CASES[name]
    ids = {key: getattr(rows, row) if isinstance(row, str) else row[0] for key, row in case.ids.items()}
    return reverse(name, kwargs={**({"slug": slug or rows.slug} if case.role else {}), **ids})


@pytest.fixture
def rows(project: Project, owner: User) -> Rows:
    return furnish(project, owner)


@pytest.fixture
def outsider(stranger: User, login: Callable[[User], Client]) -> Client:
    return login(stranger)


def test_every_address_has_a_line_and_every_line_an_address() -> None:
    routes = [pattern.name for _, pattern in walk(get_resolver().url_patterns)]
    assert sorted(routes) == sorted(CASES)


def test_everything_of_a_project_lies_below_its_address_and_has_a_role() -> None:
    for name, (route, pattern) in URLS.items():
        below = "api/v1/projects/<slug:slug>/" if CASES[name].api else "p/<slug:slug>/"
        assert route.startswith(below) == bool(CASES[name].role), name
        assert getattr(pattern.callback, "project_role", None) == CASES[name].role, name
        if not CASES[name].api:
            assert getattr(pattern.callback, "login_required", True) != CASES[name].public, name
            assert not getattr(pattern.callback, "csrf_exempt", False), name


def test_the_api_asks_who_it_is_and_for_the_token_of_the_session_itself() -> None:
    for name in API:
        view = URLS[name][1].callback.cls
        assert view.authentication_classes == [Bearer, Session], name
        assert view.permission_classes == [IsAuthenticated], name
        assert view.throttle_classes == [PersonLimit], name


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["page", "fragment"])
@pytest.mark.parametrize("name", PROJECT)
def test_a_stranger_gets_the_same_404_as_for_a_project_that_does_not_exist(
    outsider: Client, rows: Rows, name: str, headers: dict[str, str]
) -> None:
    for method in METHODS:
        seen = []
        for slug in (rows.slug, "nosuchproj"):
            with CaptureQueriesContext(connection) as queries:
                answer = outsider.generic(method, address(name, rows, slug), headers=headers)
            assert answer.status_code == 404, (method, slug)
            seen.append((len(answer.content), sorted(answer.headers), [query["sql"][:60] for query in queries]))
        assert seen[0] == seen[1], method


@pytest.mark.parametrize("name", WITH_IDS)
def test_the_ids_of_another_project_are_not_found_through_ones_own(
    rows: Rows, stranger: User, outsider: Client, name: str
) -> None:
    own = Project.objects.create(name="Own")
    Membership.objects.create(project=own, user=stranger, role=Role.OWNER)
    before = snapshot()
    for method in CASES[name].methods:
        answer = outsider.generic(method, address(name, rows, own.slug))
        assert answer.status_code == 404, method
    assert snapshot() == before


@pytest.mark.parametrize("name", [name for name in PROJECT if CASES[name].role != Role.VIEWER])
def test_a_role_that_is_too_low_gets_a_sentence_and_changes_nothing(
    rows: Rows, member: Callable[[str], User], login: Callable[[User], Client], name: str
) -> None:
    role = CASES[name].role
    assert role
    lower = next(one for one in reversed(Role) if one.level == role.level - 1)
    browser = login(member(lower.value))
    before = snapshot()
    for method in CASES[name].methods:
        answer = browser.generic(method, address(name, rows))
        assert answer.status_code == 403, method
        assert f"needs the role {role.value}" in answer.content.decode()
    assert snapshot() == before


@pytest.mark.parametrize("name", [name for name in PRIVATE if not CASES[name].api])
def test_nobody_gets_anywhere_without_logging_in(rows: Rows, name: str) -> None:
    path = address(name, rows)
    for method in ("GET", "POST"):
        answer = Client().generic(method, path)
        assert (answer.status_code, answer["Location"].split("?")[0]) == (302, "/login/"), method
    fragment = Client().get(path, headers={"HX-Request": "true", "HX-Current-URL": "http://testserver/glossary/?a=b"})
    assert fragment["HX-Redirect"] == "/login/?next=%2Fglossary%2F%3Fa%3Db"
    elsewhere = Client().get(path, headers={"HX-Request": "true", "HX-Current-URL": "https://evil.example/x"})
    assert elsewhere["HX-Redirect"] == "/login/?next=%2F"


@pytest.mark.parametrize("name", API)
def test_a_program_without_a_token_is_asked_for_one(rows: Rows, name: str) -> None:
    path = address(name, rows)
    for method in METHODS:
        for headers in ({}, {"Authorization": "Bearer sptar_wrong"}, {"Authorization": "Basic b3duZXI6eA=="}):
            answer = Client().generic(method, path, headers=headers)
            assert (answer.status_code, answer["WWW-Authenticate"]) == (401, 'Bearer realm="SPTAR"'), method


@pytest.mark.parametrize("name", PUBLIC)
def test_public_pages_are_the_few_that_lead_to_log_in(rows: Rows, name: str) -> None:
    assert name in {"login", "login_link", "sign_up", "invitation", "theme"}
    answer = Client().generic(CASES[name].methods[0], address(name, rows))
    assert answer.headers.get("Location", "") in ("", "/")


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.staff])
def test_pages_of_operators_do_not_exist_for_others(rows: Rows, owner: User, client: Client, name: str) -> None:
    assert client.get(address(name, rows)).status_code == 404
    User.objects.filter(pk=owner.pk).update(is_staff=True)
    assert client.get(address(name, rows)).status_code == 200


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_changed_without_the_token_of_this_session(rows: Rows, owner: User, name: str) -> None:
    browser, other = Client(enforce_csrf_checks=True), Client(enforce_csrf_checks=True)
    for one in (browser, other):
        one.force_login(owner)
    foreign = other.get("/glossary/").content.decode().split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
    browser.get("/glossary/")
    before = snapshot()
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = browser.generic(method, address(name, rows))
        assert answer.status_code == 403, method
        sentence = "The CSRF token is missing" if CASES[name].api else "This form is out of date"
        assert sentence in answer.content.decode()
    assert browser.post(address(name, rows), {"csrfmiddlewaretoken": foreign}).status_code == 403
    assert browser.post(address(name, rows), headers={"X-CSRFToken": foreign}).status_code == 403
    assert snapshot() == before


@pytest.mark.parametrize("name", PAGES_THAT_TAKE_FORMS)
def test_what_changes_something_is_not_there_for_get(rows: Rows, client: Client, name: str) -> None:
    before = snapshot()
    answer = client.get(address(name, rows))
    assert (answer.status_code, answer["Allow"]) == (405, "POST")
    page = answer.content.decode()
    assert "This address cannot be opened" in page
    assert "Content-Security-Policy" in answer
    back = f"/p/{rows.project.slug}/" if address(name, rows).startswith("/p/") else "/"
    assert f'<a class="btn btn-primary" href="{back}">' in page
    assert snapshot() == before


@pytest.mark.parametrize("name", [name for name in POST_ONLY if CASES[name].api])
def test_the_api_changes_nothing_for_get(rows: Rows, client: Client, name: str) -> None:
    before = snapshot()
    answer = client.get(address(name, rows))
    assert (answer.status_code, answer["Content-Type"]) == (405, "application/problem+json")
    assert snapshot() == before


@pytest.mark.parametrize("name", READABLE)
def test_looking_at_a_page_changes_nothing(rows: Rows, owner: User, client: Client, name: str) -> None:
    User.objects.filter(pk=owner.pk).update(is_staff=True)
    before = snapshot()
    answer = client.get(address(name, rows))
    assert answer.status_code in {200, 302, 400, 404, 410}, answer.status_code  # 400: a search for nothing
    if hasattr(answer, "streaming_content"):
        list(answer.streaming_content)
    assert snapshot() == before


NONSENSE = (
    "sort=owner__password", "filter[x]=1", "page=-1", f"page={10**30}", f"before={10**30}", f"after={10**30}",
    "before=x", f"actor={10**30}", "verb=../..", "split=%00", "q=%00", "q=" + "x" * 100_000, "grade=nan",
    "status=%F0%9F%92%A9", "topic=-1",
)  # fmt: skip


@pytest.mark.parametrize("name", READABLE)
def test_nonsense_in_the_query_string_gets_the_default_or_a_refusal(
    rows: Rows, owner: User, client: Client, name: str
) -> None:
    User.objects.filter(pk=owner.pk).update(is_staff=True)
    for query in NONSENSE:
        answer = client.get(f"{address(name, rows)}?{query}")
        assert answer.status_code in {200, 302, 400, 404, 410, 503}, query[:40]


@pytest.mark.parametrize(
    "path", ["/admin/", "/admin/login/", "/django-rq/", "/rq/", "/static/../webapp/settings.py", "/files/", "/media/"]
)
def test_there_are_no_pages_but_ours(client: Client, path: str) -> None:
    assert client.get(path).status_code == 404
    assert Client().get(path).status_code == 404


def snapshot() -> dict[str, list[Any]]:
    """All rows of all tables of ours."""
    return {
        model.__name__: sorted(model._base_manager.values_list(), key=lambda row: row[0])
        for model in apps.get_app_config("webapp").get_models()
    }
