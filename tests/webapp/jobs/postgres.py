"""Databases on a PostgreSQL server, each for one test."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql


@contextmanager
def database(template_url: str) -> Iterator[str]:
    """A new database on the server of the URL, made after the one that it names."""
    parts = urlsplit(template_url)
    template, name = parts.path.lstrip("/"), f"sptar_test_{uuid.uuid4().hex[:12]}"
    source = template if template.startswith("sptar_test_") else "template1"
    admin = urlunsplit(parts._replace(path="/postgres"))
    with psycopg.connect(admin, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(source)))
        try:
            yield urlunsplit(parts._replace(path=f"/{name}"))
        finally:
            with psycopg.connect(admin, autocommit=True) as cleaner:
                cleaner.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
