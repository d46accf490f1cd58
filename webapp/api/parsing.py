"""Bodies of requests."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

_SURROGATE = re.compile("[\ud800-\udfff]")


class Json(JSONParser):
    """JSON within the limit that forms have, no deeper than Python can read, and of text that can be written again."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        """The value. Raises ParseError for what is no JSON."""
        try:
            value = super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise ParseError("The body is nested too deeply to be read.") from None
        if any(_SURROGATE.search(text) for text in _texts(value)):
            raise ParseError("The body holds half of a character (a lone surrogate, like \\ud800).")
        return value


def _texts(value: Any) -> Iterator[str]:
    """Every text in a value, names of fields as well."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            waiting += [*one, *one.values()]
        elif isinstance(one, list):
            waiting += one
