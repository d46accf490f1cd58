"""Files sent from the disk in blocks, whole or in part, so that memory stays the same however large they are."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from webapp.downloads import attachment

_BLOCK = 1 << 16  # bytes
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def send_file(request: HttpRequest, path: Path, *, name: str, content_type: str, tag: str) -> HttpResponseBase:
    """A file to save under `name`, which may be anybody's text. Answers one byte range, so downloads can go on.

    `tag` names the content, so that a part of other content is never put behind what a person has already. Raises
    FileNotFoundError when the file is gone.
    """
    stream = path.open("rb")
    size = os.fstat(stream.fileno()).st_size
    quoted = f'"{tag}"'
    wanted = _wanted(request, size, quoted)
    response: HttpResponseBase
    if wanted is None:
        response = FileResponse(stream, content_type=content_type)
        response.headers["Content-Length"] = str(size)
    elif wanted.start >= wanted.stop:
        stream.close()
        response = HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
    else:
        response = StreamingHttpResponse(_blocks(stream, wanted), status=206, content_type=content_type)
        response.headers["Content-Length"] = str(len(wanted))
        response.headers["Content-Range"] = f"bytes {wanted.start}-{wanted.stop - 1}/{size}"
    response.headers["Accept-Ranges"] = "bytes"
    response.headers["ETag"] = quoted
    return attachment(response, name)


def _wanted(request: HttpRequest, size: int, tag: str) -> range | None:
    """The bytes that are asked for; None for all of them, empty for what there is not."""
    found = _RANGE.fullmatch(request.headers.get("Range", ""))
    if found is None or found.group(0) == "bytes=-" or request.headers.get("If-Range", tag) != tag:
        return None
    first, last = found.groups()
    if not first:
        return range(max(0, size - int(last)), size)
    return range(int(first), min(size, int(last) + 1) if last else size)


def _blocks(stream: BinaryIO, wanted: range) -> Iterator[bytes]:
    with stream:
        stream.seek(wanted.start)
        left = len(wanted)
        while left and (block := stream.read(min(_BLOCK, left))):
            left -= len(block)
            yield block
