"""What the engine says, as a page may show it: without the places of files on this machine."""

from __future__ import annotations

import re

from django.conf import settings

_REST = r"(?P<inside>(?:/[^\s'\"<>|:;,()]*)?)(?![\w-])"
"""What follows the data folder in a path."""


def without_paths(text: str) -> str:
    """The text with each path in the data folder cut to the name of its file; the log and the traceback keep it."""
    return re.sub(re.escape(str(settings.DATA_DIR)) + _REST, _name, text)


def _name(found: re.Match[str]) -> str:
    inside = found["inside"]
    path = inside.rstrip("./")
    return (path.rsplit("/", 1)[-1] or "the data folder") + "." * inside.endswith(".")
