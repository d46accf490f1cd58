"""Programs with tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests.webapp.compare.conftest import another, do, measured_one
from tests.webapp.examples.conftest import FakeSearch, corpus, search
from tests.webapp.experiments.conftest import make_experiment, ready
from webapp.models import Project, User
from webapp.services import api_tokens

__all__ = ["FakeSearch", "another", "corpus", "do", "make_experiment", "measured_one", "ready", "search"]

Program = Callable[..., Client]
JSON = "application/json"


@pytest.fixture
def program() -> Program:
    """Return `program(user, scope, project)`: a client that sends a token, and enforces CSRF as a server does."""

    def make(user: User, scope: str = "run", project: Project | None = None, **fields: Any) -> Client:
        _, text = api_tokens.make(user=user, name="a program", scope=scope, project=project, **fields)
        return Client(enforce_csrf_checks=True, headers={"Authorization": f"Bearer {text}"})

    return make


@pytest.fixture
def api(program: Program, owner: User) -> Client:
    """The owner's program, which may do everything that tokens can."""
    return program(owner)


@pytest.fixture
def base(project: Project) -> str:
    """The address of the project."""
    return f"/api/v1/projects/{project.slug}/"
