"""What is refused, and how: rows of other projects, sessions without token, nonsense, too much (T36, T38, T39)."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from tests.webapp.api.conftest import JSON, Program
from tests.webapp.rows import furnish
from webapp.api import throttling
from webapp.models import (
    Corpus,
    Document,
    Judgement,
    Membership,
    Project,
    Query,
    ReviewStep,
    Role,
    User,
    WeakQuery,
)

PROBLEM = "application/problem+json"


@pytest.fixture
def theirs(stranger: User) -> Project:
    """A project of somebody else with a row of everything."""
    project = Project.objects.create(name="Theirs")
    Membership.objects.create(project=project, user=stranger, role=Role.OWNER)
    furnish(project, stranger)
    return project


def test_what_another_project_has_is_not_there_in_a_body_either(
    api: Client, base: str, theirs: Project, corpus: Corpus
) -> None:
    Document.objects.create(corpus=theirs.corpus, doc_id="secret", title="Secret", text="Secret")
    query = api.post(f"{base}queries/", {"text": "mine"}, content_type=JSON).json()["id"]
    judged = api.post(f"{base}queries/{query}/judgements/", {"doc_id": "secret", "grade": 1}, content_type=JSON)
    assert judged.status_code == 400
    assert api.post(f"{base}queries/", {"text": "x", "doc_id": "secret"}, content_type=JSON).status_code == 400
    step = ReviewStep.objects.filter(project=theirs).first()
    if step is not None:
        assert api.post(f"{base}verdicts/undo/", {"step": step.pk}, content_type=JSON).status_code == 404
    assert api.post(f"{base}archives/", {"experiment": 1, "kind": "runs"}, content_type=JSON).status_code == 404
    weak = WeakQuery.objects.get(project=theirs)
    given = api.post(f"{base}questions/{weak.pk}/verdict/", {"verdict": "accept"}, content_type=JSON)
    assert given.status_code == 404
    assert not Judgement.objects.filter(query__project__slug=base.split("/")[4]).exists()


def test_a_session_needs_its_token_and_a_bearer_does_not(owner: User, api: Client, base: str) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(owner)
    refused = browser.post(f"{base}queries/", {"text": "who"}, content_type=JSON)
    assert (refused.status_code, refused["Content-Type"]) == (403, PROBLEM)
    assert not Query.objects.exists()
    page = browser.get("/api/v1/docs/").content.decode()
    token = page.split('"X-CSRFToken": "')[1].split('"')[0]
    given = browser.post(f"{base}queries/", {"text": "who"}, content_type=JSON, headers={"X-CSRFToken": token})
    assert given.status_code == 201
    upload = browser.post(f"{base}uploads/", {"file": SimpleUploadedFile("a.txt", b"x"), "hold": "1"})
    assert upload.status_code == 403
    upload = browser.post(
        f"{base}uploads/", {"file": SimpleUploadedFile("a.txt", b"Text."), "hold": "1"}, headers={"X-CSRFToken": token}
    )
    assert upload.status_code == 201
    assert api.post(f"{base}queries/", {"text": "what"}, content_type=JSON).status_code == 201


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        ("{", JSON, 400),
        ("[]", JSON, 400),
        ("null", JSON, 400),
        ('"text"', JSON, 400),
        ("[" * 100_000, JSON, 400),
        ('{"text": ' + "9" * 5000 + "}", JSON, 400),
        ('{"text": NaN}', JSON, 400),
        (b'{"text": "\xff"}', JSON, 400),
        ('{"text": "a\\u0000b"}', JSON, 400),
        ('{"text": "\\ud800"}', JSON, 400),
        ('{"text": {"$ne": 1}}', JSON, 400),
        ('{"text": ""}', JSON, 400),
        ('{"text": "' + "x" * 5000 + '"}', JSON, 400),
        ('{"text": "' + "x" * (3 << 20) + '"}', JSON, 413),
        ("text=x", "application/x-www-form-urlencoded", 415),
        ("<a/>", "application/xml", 415),
        ("", JSON, 400),
        ("", "", 400),
    ],
)  # fmt: skip
def test_a_body_that_makes_no_sense_gets_a_sentence(
    api: Client, base: str, body: str | bytes, content_type: str, status: int
) -> None:
    answer = api.generic("POST", f"{base}queries/", body, content_type=content_type)
    assert (answer.status_code, answer["Content-Type"]) == (status, PROBLEM)
    said = answer.json()
    assert said["status"] == status
    assert said["detail"].strip()
    assert not Query.objects.exists()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("archives/", '{"experiment": 1, "kind": "\\ud800"}'),
        ("experiments/plan/", '{"settings": {"\\ud800": {"x": "1"}}}'),
        ("queries/", '{"text": [["\\ud83d"]]}'),
    ],
)
def test_half_a_character_is_refused_wherever_it_stands(api: Client, base: str, path: str, body: str) -> None:
    answer = api.generic("POST", f"{base}{path}", body, content_type=JSON)
    assert (answer.status_code, answer["Content-Type"]) == (400, PROBLEM)
    assert "half of a character" in answer.json()["detail"]


def test_a_character_of_two_halves_is_whole(api: Client, base: str) -> None:
    answer = api.generic("POST", f"{base}queries/", '{"text": "why \\ud83d\\ude00"}', content_type=JSON)
    assert (answer.status_code, answer.json()["text"]) == (201, "why \U0001f600")


@pytest.mark.parametrize(
    "query",
    [
        "cursor=-1", f"cursor={10**30}", "cursor=x", "limit=0", "limit=201", "limit=x", "split=owner__password",
        "status=%00", "text=%00", "text=" + "x" * 300, "disputed=maybe",
    ],
)  # fmt: skip
def test_parameters_that_are_not_allowed_are_refused(api: Client, base: str, query: str) -> None:
    answer = api.get(f"{base}queries/?{query}")
    assert (answer.status_code, answer["Content-Type"]) == (400, PROBLEM)
    assert set(answer.json()["errors"]) == {query.partition("=")[0]}


def test_parameters_that_mean_nothing_here_change_nothing(api: Client, base: str) -> None:
    for query in ("sort=owner__password", "filter[x]=1", "fields=*", "format=xml"):
        assert api.get(f"{base}queries/?{query}").json() == {"results": [], "next": None}


@pytest.mark.parametrize("number", ["0", "99999999999999999999", "9" * 5000, "-1", "x", "1%00"])
def test_ids_that_no_row_can_have_are_not_found(api: Client, base: str, number: str) -> None:
    for path in (f"queries/{number}/", f"experiments/{number}/", f"documents/{number}/", f"questions/{number}/"):
        answer = api.get(base + path)
        assert (answer.status_code, answer["Content-Type"]) == (404, PROBLEM), path


def test_what_does_not_exist_is_one_sentence_for_every_method(api: Client, base: str) -> None:
    for path in ("/api/v1/", "/api/v1/nix", "/api/v1/projects", f"{base}nix/", base[:-1]):
        for method in ("GET", "POST", "DELETE", "OPTIONS"):
            answer = api.generic(method, path)
            assert (answer.status_code, answer["Content-Type"]) == (404, PROBLEM), (method, path)
            assert "nothing at this address" in answer.json()["detail"]


def test_an_answer_in_another_form_than_json_is_not_to_be_had(api: Client, base: str) -> None:
    assert api.get(f"{base}queries/", headers={"Accept": "text/html"}).status_code == 406


def test_text_of_people_comes_back_as_it_is_and_as_no_page(api: Client, base: str) -> None:
    text = '<script>alert(1)</script>"><img src=x onerror=alert(1)>{{7*7}}'
    answer = api.post(f"{base}queries/", {"text": text}, content_type=JSON)
    assert answer.json()["text"] == text
    assert answer["Content-Type"] == JSON
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in answer["Content-Security-Policy"]
    assert answer["Cache-Control"] == "private, no-store"


def test_who_asks_too_often_waits_for_the_next_minute(
    api: Client, program: Program, stranger: User, base: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [6_000_030.0]
    monkeypatch.setattr(throttling.time, "time", lambda: now[0])
    settings.API_REQUESTS_A_MINUTE, settings.API_STARTS_A_MINUTE = 3, 1
    assert [api.get("/api/v1/me/").status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = api.get("/api/v1/me/")
    assert (refused["Retry-After"], refused["Content-Type"]) == ("30", PROBLEM)
    assert "3 requests a minute" in refused.json()["detail"]
    assert program(stranger).get("/api/v1/me/").status_code == 200
    now[0] += 30
    assert api.post("/api/v1/projects/", {}, content_type=JSON).status_code == 400
    assert api.post("/api/v1/projects/", {}, content_type=JSON).status_code == 429
    assert api.get("/api/v1/me/").status_code == 200


def test_counts_of_earlier_minutes_are_forgotten(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for minute in range(5):
        monkeypatch.setattr(throttling.time, "time", lambda minute=minute: 7_000_000.0 + 60 * minute)
        api.get("/api/v1/me/")
    assert len(throttling._here) == 1


def test_the_page_of_the_api_stays_within_the_policy(client: Client) -> None:
    answer = client.get("/api/v1/docs/")
    page = answer.content.decode()
    assert "unsafe" not in answer["Content-Security-Policy"]
    assert "<style" not in page and "<script>" not in page and "http://unpkg" not in page and "cdn" not in page
    assert "drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js" in page
    schema = client.get("/api/v1/openapi.yaml", headers={"Accept": "application/json,*/*"})
    assert schema.status_code == 200
    assert "/api/v1/projects/{slug}/queries/" in schema.content.decode()
