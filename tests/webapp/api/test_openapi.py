"""The OpenAPI file says what the API does: it is up to date, complete, and no request breaks anything."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import yaml
from django.core.wsgi import get_wsgi_application
from django.urls import URLPattern, get_resolver
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiYamlRenderer
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.webapp.api.conftest import FakeSearch
from tests.webapp.rows import Rows, furnish
from tests.webapp.test_access import walk
from webapp.models import Project, User
from webapp.services import api_tokens

FILE = Path(__file__).resolve().parents[3] / "docs" / "openapi.yaml"
EXAMPLES = 6
"""Requests of each address, method and kind; the whole run stays under a minute and a half."""
CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]
METHODS = {"get", "post", "patch", "put", "delete"}


def test_the_file_is_what_the_code_says() -> None:
    schema = SchemaGenerator().get_schema(request=None, public=True)
    made = OpenApiYamlRenderer().render(schema, renderer_context={}).decode()
    assert made == FILE.read_text(encoding="utf-8"), "docs/openapi.yaml is out of date: make openapi"


def test_every_address_of_the_api_stands_in_it_with_all_its_methods() -> None:
    paths = yaml.safe_load(FILE.read_text(encoding="utf-8"))["paths"]
    described = {re.sub("{.*?}", "*", path): METHODS & set(operations) for path, operations in paths.items()}
    routes: list[tuple[str, URLPattern]] = [
        (route, pattern)
        for route, pattern in walk(get_resolver().url_patterns)
        if route.startswith("api/v1/") and pattern.name not in ("api_docs", "api_schema", "api_unknown")
    ]
    assert {
        "/" + re.sub("<.*?>", "*", route): {method for method in METHODS if hasattr(pattern.callback.cls, method)}
        for route, pattern in routes
    } == described


def test_every_answer_that_refuses_is_a_problem() -> None:
    for path, operations in yaml.safe_load(FILE.read_text(encoding="utf-8"))["paths"].items():
        for method in METHODS & set(operations):
            for status, answer in operations[method]["responses"].items():
                if status >= "400":
                    assert list(answer["content"]) == ["application/problem+json"], (path, method, status)
            assert operations[method]["operationId"]
            assert operations[method]["security"] == [{"token": []}, {"session": []}]


@pytest.fixture
def rows(project: Project, owner: User) -> Rows:
    return furnish(project, owner)


def test_no_request_breaks_anything_and_every_answer_is_as_described(
    rows: Rows, owner: User, search: FakeSearch
) -> None:
    """Requests for every address, as the file allows them and otherwise; most ids and names are those of real rows."""
    _, text = api_tokens.make(user=owner, name="schemathesis", scope="run")
    schema = schemathesis.openapi.from_path(FILE)
    schema.app = get_wsgi_application()
    real = {
        "slug": rows.slug, "upload": rows.upload, "number": 1, "doc": rows.document, "pk": rows.example,
        "arm": "sptar", "archive": rows.archive, "series": rows.series, "other": 2,
    }  # fmt: skip
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) > 50
    for operation in operations:
        for mode in GenerationMode:
            make_requests(operation, mode, real, text)


def make_requests(operation: Any, mode: GenerationMode, real: dict[str, Any], token: str) -> None:
    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode))
    def make(case: Any) -> None:
        case.path_parameters = {name: real.get(name, value) for name, value in (case.path_parameters or {}).items()}
        answer = case.call(headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code != 500, answer.text[:2000]
        case.validate_response(answer, checks=CHECKS)

    make()
