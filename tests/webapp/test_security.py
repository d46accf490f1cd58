"""Headers, start-up rules, and what must never be seen (T41, T43, T44)."""

from __future__ import annotations

import io
import logging
import os
import re
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as live
from django.core.checks import run_checks
from django.core.exceptions import DisallowedHost
from django.core.management import load_command_class
from django.http import HttpResponse
from django.test import Client

from tests.webapp.rows import furnish
from webapp.downloads import attachment, safe_cell, safe_name
from webapp.models import Project, User
from webapp.operations.environment import child_environment
from webapp.services import api_tokens

ROOT = Path(__file__).resolve().parents[2]
KEY = secrets.token_urlsafe(48)


def manage(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run manage.py under an environment of its own, as an operator would."""
    clean = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments], cwd=ROOT, env={**clean, **environment},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


PRODUCTION = {"SECRET_KEY": KEY, "HTTPS": "1", "ALLOWED_HOSTS": "sptar.example.org"}


def test_the_production_settings_pass_the_check_for_deployment(tmp_path: Path) -> None:
    done = manage("check", "--deploy", "--fail-level", "WARNING", SPTAR_DATA=str(tmp_path), **PRODUCTION)
    assert done.returncode == 0, done.stderr
    assert "no issues (0 silenced)" in done.stdout


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"SECRET_KEY": ""}, "SECRET_KEY is missing"),
        ({"SECRET_KEY": "short"}, "shorter than 50"),
        ({"SECRET_KEY": "ab" * 40}, "one that is not secret"),
        ({"SECRET_KEY": f"django-insecure-{KEY}"}, "one that is not secret"),
        ({"SECRET_KEY": f"only-for-debugging-{KEY}"}, "one that is not secret"),
        ({"ALLOWED_HOSTS": "*"}, "must name the hosts"),
        ({"ALLOWED_HOSTS": "*.example.org"}, "must name the hosts"),
        ({"DEBUG": "1"}, "public hosts out of ALLOWED_HOSTS: sptar.example.org"),
        ({"DEBUG": "1", "ALLOWED_HOSTS": "*"}, "must name the hosts"),
    ],
)
def test_it_refuses_to_start(tmp_path: Path, environment: dict[str, str], sentence: str) -> None:
    done = manage("check", SPTAR_DATA=str(tmp_path), **(PRODUCTION | environment))
    assert done.returncode != 0
    assert "ImproperlyConfigured" in done.stderr
    assert sentence in done.stderr


def test_a_key_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY)
    done = manage("check", SPTAR_DATA=str(tmp_path), SECRET_KEY_FILE=str(tmp_path / "key"))
    assert done.returncode == 0, done.stderr


def test_our_own_checks_find_a_weak_policy_a_missing_middleware_and_plain_text(settings: Any) -> None:
    settings.ALLOWED_HOSTS = list(live.LOCAL_HOSTS)
    assert not [found for found in run_checks(include_deployment_checks=True) if found.id.startswith("webapp.")]
    directives = live.CONTENT_SECURITY_POLICY["DIRECTIVES"]
    settings.CONTENT_SECURITY_POLICY = {
        "DIRECTIVES": {**directives, "script-src": ["'self'", "'unsafe-inline'"], "default-src": ["*"]}
    }
    settings.MIDDLEWARE = [name for name in live.MIDDLEWARE if name != "webapp.middleware.LoginRequired"]
    settings.ALLOWED_HOSTS = ["sptar.example.org"]
    settings.HTTPS = False
    settings.REDIS_URL = "redis://queue.example.org:6379/0"
    found = [found.id for found in run_checks(include_deployment_checks=True) if found.id.startswith("webapp.")]
    assert sorted(found) == ["webapp.E001"] * 3 + ["webapp.E002", "webapp.W001", "webapp.W002"]


@pytest.mark.parametrize(
    "path", ["/login/", "/nix/", "/glossary/", "/profile/tokens/", "/api/v1/docs/", "/api/v1/me/", "/api/v1/nix/"]
)
def test_every_answer_has_its_headers(client: Client, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert {part.strip() for part in policy.split(";")} >= {
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "form-action 'self'", "frame-ancestors 'none'",
        "base-uri 'none'", "object-src 'none'",
    }  # fmt: skip
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]
    assert headers["Cache-Control"] == "private, no-store"


def test_a_token_counts_in_its_header_alone_and_opens_no_page(owner: User) -> None:
    """An address ends in logs and histories; and who finds a token shall not log in with it."""
    _, text = api_tokens.make(user=owner, name="a program", scope="run")
    for place in (f"/api/v1/me/?token={text}", f"/api/v1/me/?access_token={text}"):
        assert Client().get(place).status_code == 401
    browser = Client()
    browser.cookies["token"] = text
    assert browser.get("/api/v1/me/").status_code == 401
    bearer = Client(headers={"Authorization": f"Bearer {text}"})
    assert bearer.get("/api/v1/me/").status_code == 200
    for page in ("/", "/profile/", "/profile/tokens/", "/system/"):
        assert bearer.get(page)["Location"].startswith("/login/")
    assert live.SESSION_COOKIE_NAME not in bearer.cookies


def test_the_key_of_the_hub_goes_to_no_process_of_the_application(tmp_path: Path) -> None:
    inherited = {"PATH": "/bin", "HF_TOKEN": "hf_secret", "HUGGING_FACE_HUB_TOKEN": "hf_secret", "HF_HUB_OFFLINE": "1"}
    environment = child_environment(inherited, {"SECRET_KEY": KEY}, tmp_path, 8000)
    assert "hf_secret" not in environment.values()
    assert KEY not in environment.values()
    assert environment["HF_HUB_OFFLINE"] == "1"


@pytest.mark.parametrize(
    "name", ["createproject", "importdocuments", "importexamples", "startexperiment", "status", "export", "push_to_hub"]
)
def test_no_command_takes_a_secret_as_an_argument(name: str) -> None:
    """Other people of the machine see arguments."""
    options = load_command_class("webapp", name).create_parser("manage.py", name)._option_string_actions
    assert not [option for option in options if re.search("token|password|secret|key", option)] or name == (
        "startexperiment"  # its request token is no secret: it names a request
    )


def test_cookies_cannot_be_read_by_scripts_nor_sent_by_other_sites(owner: User, settings: Any) -> None:
    assert (live.SESSION_COOKIE_HTTPONLY, live.SESSION_COOKIE_SAMESITE, live.CSRF_COOKIE_SAMESITE) == (
        True,
        "Lax",
        "Lax",
    )
    browser = Client()
    browser.post("/login/", {"email": owner.email, "password": "correct horse battery"})
    browser.post("/theme/", {"theme": "dark"})
    assert browser.cookies["sessionid"]["httponly"]
    assert browser.cookies["theme"]["samesite"] == "Lax"


def test_a_new_session_begins_at_log_in(owner: User) -> None:
    browser = Client()
    browser.get("/login/")
    planted = browser.session
    planted["planted"] = True
    planted.save()
    browser.cookies[live.SESSION_COOKIE_NAME] = planted.session_key
    browser.post("/login/", {"email": owner.email, "password": "correct horse battery"})
    assert browser.session.session_key != planted.session_key


@pytest.mark.parametrize(
    ("name", "saved"),
    [
        ("report.csv", "report.csv"),
        ("../../etc/passwd", "etc passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ('a"b\r\nSet-Cookie: x=1.csv', "a b Set-Cookie x=1.csv"),
        ("Überprüfung № 7.csv", "Überprüfung № 7.csv"),
        ("\u202egnp.exe\x00.csv", "gnp.exe.csv"),
        ("", "download"),
        ("...", "download"),
        ("x" * 300 + ".csv", "x" * 116 + ".csv"),
    ],
)
def test_names_of_downloads_can_do_no_harm(name: str, saved: str) -> None:
    assert safe_name(name) == saved
    headers = attachment(HttpResponse("x"), name).headers
    assert headers["Content-Disposition"].startswith("attachment")
    assert "\n" not in headers["Content-Disposition"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "default-src 'none'; sandbox"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "\n=x", "\uff1d1"])
def test_a_spreadsheet_runs_no_cell(text: str) -> None:
    assert safe_cell(text) == f"'{text}"
    assert safe_cell(f"a{text}") == f"a{text}"


class Secretive(Exception):
    """An error whose local variables hold secrets."""


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["page", "fragment"])
def test_a_broken_page_shows_and_logs_no_secret(
    owner: User, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    def explode(**values: str) -> None:
        assert values["password"]
        raise Secretive("something went wrong")

    monkeypatch.setattr("webapp.services.log_in.check_password", explode)
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logging.getLogger("django.request").addHandler(handler)
    browser = Client(raise_request_exception=False)
    answer = browser.post("/login/", {"email": owner.email, "password": "my secret phrase"}, headers=headers)
    logging.getLogger("django.request").removeHandler(handler)
    assert answer.status_code == 500
    assert "Secretive" in stream.getvalue()
    for text in (answer.content.decode(), stream.getvalue()):
        assert "my secret phrase" not in text
        assert live.SECRET_KEY not in text
    assert "Something broke" in answer.content.decode()
    assert "Traceback" not in answer.content.decode()
    assert ("HX-Retarget" in answer.headers) == bool(headers)


def test_error_pages_are_ours_and_speak_plainly(client: Client, settings: Any, project: Project) -> None:
    missing = client.get("/nix/")
    assert (missing.status_code, "There is no such page" in missing.content.decode()) == (404, True)
    fragment = client.get("/nix/", headers={"HX-Request": "true"})
    assert fragment.content.decode().lstrip().startswith('<div class="notice bad" id="error-message"')
    assert (fragment["HX-Retarget"], fragment["HX-Reswap"]) == ("#flash", "innerHTML")
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1 << 20
    large = client.post("/profile/", {"name": "x" * (1 << 20)})
    assert (large.status_code, "A form may hold 1 MB" in large.content.decode()) == (413, True)
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 3
    many = client.post("/profile/", {f"field{number}": "x" for number in range(9)})
    assert (many.status_code, "too much at once" in many.content.decode()) == (413, True)


def test_another_host_name_is_refused_without_its_text(client: Client) -> None:
    answer = client.get("/glossary/", headers={"Host": "evil.example"})
    assert answer.status_code == 400
    assert "evil.example" not in answer.content.decode()
    assert DisallowedHost.__name__ not in answer.content.decode()


def test_no_page_shows_the_secret_key_or_where_the_database_is(client: Client, owner: User, project: Project) -> None:
    furnish(project, owner)
    User.objects.update(is_staff=True)
    for path in ("/", "/system/", "/profile/", f"/p/{project.slug}/", f"/p/{project.slug}/settings/", "/nix/"):
        page = client.get(path).content.decode()
        assert live.SECRET_KEY not in page
        assert "sqlite3" not in page


def test_a_name_full_of_markup_is_shown_as_text(client: Client, owner: User, project: Project) -> None:
    evil = "\"><img src=x onerror=alert(1)><script>x</script>{{7*7}} hx-get='/logout/'"
    User.objects.filter(pk=owner.pk).update(name=evil)
    Project.objects.filter(pk=project.pk).update(name=evil[:100], description=evil)
    furnish(project, owner)
    client.post(f"/p/{project.slug}/settings/change/", {"name": evil[:100], "description": evil})
    for path in ("/", f"/p/{project.slug}/", f"/p/{project.slug}/settings/", f"/p/{project.slug}/events/", "/profile/"):
        page = client.get(path).content.decode()
        assert "<img src=x" not in page
        assert "<script>x" not in page
        assert "49" not in re.sub(r'value="[^"]*"|[0-9a-f]{12}|csrf\S+', "", page) or "{{7*7}}" in page
    lines = b"".join(client.get(f"/p/{project.slug}/events/csv/").streaming_content).decode()
    assert not [cell for line in lines.splitlines() for cell in line.split(",") if cell.startswith(("=", "+", "@"))]
