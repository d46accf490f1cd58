"""Fixtures of the web tests: people, a project and clients that are logged in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.test import Client

from webapp.models import Membership, Project, Role, User


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, settings: object) -> Path:
    """Each test's own data folder."""
    folder = tmp_path / "data"
    folder.mkdir()
    settings.DATA_DIR = folder  # type: ignore[attr-defined]
    return folder


@pytest.fixture
def owner(db: None) -> User:
    """The owner of `project`."""
    return User.objects.create_user("owner@example.org", "correct horse battery", name="Olga Owner")


@pytest.fixture
def stranger(db: None) -> User:
    """A person who is a member of nothing."""
    return User.objects.create_user("stranger@example.org", "correct horse battery", name="Sten Stranger")


@pytest.fixture
def project(owner: User) -> Project:
    """An empty project with an owner."""
    made = Project.objects.create(name="Library rules")
    Membership.objects.create(project=made, user=owner, role=Role.OWNER)
    return made


@pytest.fixture
def member(project: Project) -> Callable[[str], User]:
    """Return `member(role)`: a new person with that role in `project`."""

    def make(role: str) -> User:
        user = User.objects.create_user(f"{role}{User.objects.count()}@example.org", "correct horse battery")
        Membership.objects.create(project=project, user=user, role=role)
        return user

    return make


@pytest.fixture
def login() -> Callable[[User], Client]:
    """Return `login(user)`: a client that is logged in."""

    def make(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return make


@pytest.fixture
def client(owner: User, login: Callable[[User], Client]) -> Client:
    """The owner's browser."""
    return login(owner)
