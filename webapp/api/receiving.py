"""Files that come with a request."""

from __future__ import annotations

from typing import Any

from django.http import UnreadablePostError
from rest_framework.exceptions import APIException
from rest_framework.request import Request

from webapp.uploads import ReceivedFile, drop, refusal


class TooLarge(APIException):
    """The file was not taken."""

    status_code = 413


class LengthRequired(APIException):
    """The body comes in pieces without a length, which is not read at all."""

    status_code = 411


def files_of(request: Request) -> dict[str, ReceivedFile]:
    """The files by field. Raises TooLarge, with the sentence of the page, for what was not taken."""
    meta = request.META
    if not meta.get("CONTENT_LENGTH") and "chunked" in meta.get("HTTP_TRANSFER_ENCODING", "").lower():
        raise LengthRequired("The file came without its length, so it was not read. Send a Content-Length.")
    raw: Any = request._request  # noqa: SLF001  the upload handler keeps its refusal there
    try:
        files = request.FILES  # read first: receiving sets the refusal
    except UnreadablePostError:
        drop(raw)
        raise
    if reason := refusal(raw):
        raise TooLarge(reason)
    return {name: file for name, file in files.items() if isinstance(file, ReceivedFile)}
