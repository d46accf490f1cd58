"""Errors as one clear sentence in JSON (RFC 9457, problem details). Bad input is never a 500."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.core.exceptions import (
    NON_FIELD_ERRORS,
    BadRequest,
    ObjectDoesNotExist,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    TooManyFieldsSent,
    ValidationError,
)
from django.http import Http404, UnreadablePostError
from rest_framework import exceptions, serializers
from rest_framework.response import Response

from sptar_engine.errors import ConfigError, InputError
from webapp.search.client import SearchUnavailable
from webapp.selectors.trained_models import NotTrainedError
from webapp.services.archives import NotThereError
from webapp.services.decisions import Conflict
from webapp.services.experiments import NotReadyError
from webapp.services.pairings import NothingToCompare
from webapp.services.rescoring import NothingToScore
from webapp.services.uploads import UploadMoved

MEDIA_TYPE = "application/problem+json"
NOT_FOUND = "There is nothing at this address, or it belongs to a project that you are not a member of."


class Problem(serializers.Serializer[Any]):
    """What an error answers."""

    type = serializers.CharField(help_text="Always about:blank: the status says what kind it is.")
    title = serializers.CharField(help_text="The status in words.")
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="What happened and what to do, in a sentence for a person.")
    errors = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()),
        required=False,
        help_text="Sentences by field, when fields of the request are wrong.",
    )


def answer(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """The answer to an error; None for one that is ours, which Django logs and answers with 500."""
    del context
    status = status_of(error)
    if status is None:
        return None
    errors = dict(_by_field(error))
    headers = _headers(error)
    data = {
        "type": "about:blank", "title": HTTPStatus(status).phrase, "status": status,
        "detail": _sentence(error, errors), **({"errors": errors} if errors else {}),
    }  # fmt: skip
    return Response(data, status=status, headers=headers, content_type=MEDIA_TYPE)


def status_of(error: Exception) -> int | None:
    """The status that an error answers with; None when it is a fault of ours."""
    if isinstance(error, exceptions.APIException):
        return int(error.status_code)
    if isinstance(error, SearchUnavailable):
        return HTTPStatus.BAD_REQUEST if error.reason == "refused" else HTTPStatus.SERVICE_UNAVAILABLE
    return next((status for kinds, status in _STATUS if isinstance(error, kinds)), None)


_STATUS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], int], ...] = (
    ((Http404, ObjectDoesNotExist), HTTPStatus.NOT_FOUND),
    (PermissionDenied, HTTPStatus.FORBIDDEN),
    (
        (Conflict, NotReadyError, NotThereError, NotTrainedError, NothingToCompare, NothingToScore, UploadMoved),
        HTTPStatus.CONFLICT,
    ),
    ((RequestDataTooBig, TooManyFieldsSent), HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (
        (ValidationError, InputError, ConfigError, BadRequest, SuspiciousOperation, UnreadablePostError),
        HTTPStatus.BAD_REQUEST,
    ),
)


def _headers(error: Exception) -> dict[str, str]:
    if isinstance(error, SearchUnavailable) and error.reason in ("building", "busy"):
        return {"Retry-After": "5"}
    headers = {}
    if header := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = header
    if (wait := getattr(error, "wait", None)) is not None:
        headers["Retry-After"] = str(math.ceil(wait))
    return headers


def _sentence(error: Exception, errors: Mapping[str, list[str]]) -> str:
    if errors:
        return " ".join(_at(field, text) for field, texts in errors.items() for text in texts)
    if isinstance(error, exceptions.NotFound | Http404 | ObjectDoesNotExist):
        return NOT_FOUND
    if isinstance(error, exceptions.Throttled):
        return (
            f"You have asked too often: {settings.API_REQUESTS_A_MINUTE:,} requests a minute are the most, and "
            f"{settings.API_STARTS_A_MINUTE:,} that start work. Wait {math.ceil(error.wait or 1)} seconds."
        )
    if isinstance(error, RequestDataTooBig | TooManyFieldsSent):
        return f"The body is larger than {settings.DATA_UPLOAD_MAX_MEMORY_SIZE >> 20} MB. Send less, or upload a file."
    if isinstance(error, UnreadablePostError):
        return "The connection broke before the whole request had arrived."
    if isinstance(error, SuspiciousOperation):
        return "The request is not as this address expects it."
    if isinstance(error, exceptions.APIException):
        return str(error.detail)
    if isinstance(error, ValidationError):
        return " ".join(error.messages)
    return str(error)


def _by_field(error: Exception) -> Iterator[tuple[str, list[str]]]:
    """Sentences by field; nested fields have dotted names, and what is about no field stands at an empty name."""
    if isinstance(error, exceptions.ValidationError):
        yield from _flat("", error.detail)
    elif isinstance(error, ValidationError) and hasattr(error, "error_dict"):
        for field, texts in error.message_dict.items():
            yield "" if field == NON_FIELD_ERRORS else field, texts


def _flat(name: str, detail: Any) -> Iterator[tuple[str, list[str]]]:
    if isinstance(detail, Mapping):
        for key, inner in detail.items():
            own = "" if key == "non_field_errors" else str(key)
            yield from _flat(".".join(part for part in (name, own) if part), inner)
    elif isinstance(detail, list) and any(isinstance(one, Mapping | list) for one in detail):
        for at, inner in enumerate(detail):
            if inner:
                yield from _flat(f"{name}.{at}" if name else str(at), inner)
    else:
        yield name, [str(one) for one in (detail if isinstance(detail, list) else [detail])]


def _at(field: str, text: str) -> str:
    return f"{field}: {text}" if field else text
