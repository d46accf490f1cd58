"""Queries whose SQL is made once.

Django makes the SQL of a query anew each time. For one with a dozen subqueries that takes ten times as long as the
database does to answer it, for a plain one still longer; what every page asks is prepared.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.db import connection
from django.db.models import Model, QuerySet

Made = TypeVar("Made", bound=Model)

_MARK = 2**48
"""Where the numbers that stand for others begin while SQL is made: none that a query holds by itself is as large."""


class Prepared:
    """A query with values that differ from time to time: ids and names, compared by `=` or `in`.

    `build` makes it of them, ending with `.values(…)`; it is called once for each number and kind of values.
    """

    def __init__(self, build: Callable[..., QuerySet[Any, dict[str, Any]]]) -> None:
        self._build = build
        self._made: dict[tuple[type, ...], _Statement] = {}

    def rows(self, *values: int | str) -> list[dict[str, Any]]:
        """The rows as `.values` gives them. One query."""
        kinds = tuple(type(value) for value in values)
        if kinds not in self._made:
            marks = [_MARK + place if kind is int else f"value {_MARK + place}" for place, kind in enumerate(kinds)]
            self._made[kinds] = _Statement(self._build(*marks), marks)
        return self._made[kinds].run(values)


def instance(model: type[Made], row: dict[str, Any], prefix: str = "") -> Made:
    """A model's object of those of its columns that a row has, each behind the prefix; the others are deferred."""
    names = [field.attname for field in model._meta.concrete_fields if prefix + field.attname in row]
    return model.from_db(connection.alias, names, [row[prefix + name] for name in names])


class _Statement:
    """SQL, where the values stand in its parameters, and how its columns become values."""

    def __init__(self, rows: QuerySet[Any, dict[str, Any]], marks: list[int | str]) -> None:
        compiler = rows.query.get_compiler(connection=connection)
        self._sql, self._parameters = compiler.as_sql()
        missing = set(marks) - set(self._parameters)
        if missing:
            raise ValueError(f"{len(missing)} values are no parameters of {self._sql}; only = and in can be prepared.")
        self._places = [marks.index(one) if one in marks else None for one in self._parameters]
        self._names = list(rows.query.selected)
        self._converters = compiler.get_converters([expression for expression, _, _ in compiler.select])

    def run(self, values: tuple[int | str, ...]) -> list[dict[str, Any]]:
        given = zip(self._places, self._parameters, strict=True)
        with connection.cursor() as cursor:
            cursor.execute(self._sql, [fixed if place is None else values[place] for place, fixed in given])
            found = [list(row) for row in cursor.fetchall()]
        for column, (converters, expression) in self._converters.items():
            for row in found:
                for convert in converters:
                    row[column] = convert(row[column], expression, connection)
        return [dict(zip(self._names, row, strict=True)) for row in found]
