"""Lists by cursor: a page begins behind the last row of the page before, so the last one costs what the first does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import Model, QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from webapp.api.base import MAX_ID

MOST = 200


class PageQuery(serializers.Serializer[Any]):
    """Which part of a list."""

    cursor = serializers.IntegerField(
        required=False, min_value=0, max_value=MAX_ID, help_text="From the `next` of the page before."
    )
    limit = serializers.IntegerField(required=False, default=50, min_value=1, max_value=MOST, help_text="Rows a page.")


def page_shape(shape: type[serializers.Serializer[Any]]) -> type[serializers.Serializer[Any]]:
    """The shape of a page of rows."""
    fields = {
        "results": shape(many=True),
        "next": serializers.URLField(allow_null=True, help_text="The next page; null on the last one."),
        "__doc__": f"A page of rows of the shape {shape.__name__}.",
    }
    return type(f"{shape.__name__}Page", (serializers.Serializer,), fields)


def page_of(
    request: Request,
    rows: QuerySet[Any],
    chosen: dict[str, Any],
    show: Callable[[list[Any]], Any],
    *,
    key: str = "pk",
    newest_first: bool = True,
) -> Response:
    """A page of `rows`, in the order of `key`, an integer; `chosen` is a checked PageQuery, `show` makes it JSON."""
    cursor, limit = chosen.get("cursor"), chosen["limit"]
    if cursor is not None:
        rows = rows.filter(**{f"{key}__{'lt' if newest_first else 'gt'}": cursor})
    found: list[Model] = list(rows.order_by(f"-{key}" if newest_first else key)[: limit + 1])
    more = len(found) > limit
    found = found[:limit]
    return Response({"results": show(found), "next": link(request, getattr(found[-1], key)) if more else None})


def link(request: Request, cursor: int) -> str:
    """The address of the page that begins behind `cursor`."""
    return str(replace_query_param(request.build_absolute_uri(), "cursor", cursor))
