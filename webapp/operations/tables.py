"""The rows of all tables as JSON lines, and back, on SQLite and PostgreSQL alike and across migrations.

Models are those of a migration state, not those of today's code: rows are read as the database has them now and written
into tables as they were then; migrations do the rest. Values go by column, without the code of `save()`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from typing import Any

from django.core.management.color import no_style
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, models, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

SKIPPED = {"sessions.session"}
"""People log in again; a stolen backup opens no session."""
_ROWS = 500  # a statement; SQLite allows 32,766 values in one

Migrations = list[tuple[str, str]]
Model = type[models.Model]


def applied() -> Migrations:
    """The last applied migrations of each app, which name the state of the tables. [] for a database without tables."""
    loader = MigrationLoader(connection)
    done = set(loader.applied_migrations) & set(loader.graph.nodes)
    return sorted(key for key in done if not any(child.key in done for child in loader.graph.node_map[key].children))


def unknown(migrations: Migrations) -> Migrations:
    """Those that this code does not have."""
    nodes = MigrationLoader(connection).graph.nodes
    return [key for key in migrations if key not in nodes]


def models_at(migrations: Migrations) -> list[Model]:
    """The models of a state whose rows a backup holds."""
    apps = MigrationLoader(connection).project_state(migrations).apps
    found = apps.get_models(include_auto_created=True)
    return [one for one in found if one._meta.managed and not one._meta.proxy and one._meta.label_lower not in SKIPPED]


@contextmanager
def snapshot() -> Iterator[None]:
    """See the database at one moment while the block runs, and let others write meanwhile."""
    if connection.vendor == "postgresql":
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield
        return
    with connection.cursor() as cursor:
        # Not atomic(): that begins IMMEDIATE, as all of our writing does, and would keep everybody from writing.
        cursor.execute("BEGIN DEFERRED")
        cursor.execute("SELECT COUNT(*) FROM django_migrations")  # the moment is that of the first read
        try:
            yield
        finally:
            cursor.execute("ROLLBACK")


def dump(model: Model) -> Iterator[str]:
    """The rows in the order of their keys, one JSON list each, the values in the order of `columns(model)`."""
    rows = model._base_manager.order_by("pk").values_list(*columns(model))
    for row in rows.iterator(chunk_size=2000):
        yield json.dumps(row, cls=_Encoder, ensure_ascii=False, separators=(",", ":"))


def columns(model: Model) -> list[str]:
    """Names of the columns' attributes."""
    return [field.attname for field in model._meta.concrete_fields]


def load(model: Model, names: list[str], lines: Iterable[str]) -> int:
    """Insert rows that `dump` wrote with the columns `names`; return how many."""
    fields = {field.attname: field for field in model._meta.concrete_fields}
    for field in fields.values():
        field.__dict__.update({key: False for key in ("auto_now", "auto_now_add") if key in field.__dict__})
    converters = [_converter(fields[name]) for name in names]
    count = 0
    parsed = (json.loads(line) for line in lines)
    while some := list(islice(parsed, _ROWS)):
        rows = [
            model(**{name: convert(value) for name, convert, value in zip(names, converters, row, strict=True)})
            for row in some
        ]
        count += len(model._base_manager.bulk_create(rows))
    return count


def migrate_to(migrations: Migrations) -> None:
    """Make the tables those of a state, without filling any."""
    MigrationExecutor(connection).migrate(migrations)


def reset_sequences(found: list[Model]) -> None:
    """Let new rows get keys behind those that were loaded."""
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), found):
            cursor.execute(statement)


class _Encoder(DjangoJSONEncoder):
    """Times whole: Django's cuts them to milliseconds."""

    def default(self, o: Any) -> Any:
        return o.isoformat() if isinstance(o, datetime) else super().default(o)


def _converter(field: models.Field[Any, Any]) -> Callable[[Any], Any]:
    """From JSON to the value of a field. A JSON field's value is its own."""
    return _same if isinstance(field, models.JSONField) else field.to_python


def _same(value: Any) -> Any:
    return value
