"""Lists in pieces: databases limit the variables of a statement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")

AT_ONCE = 500
"""Ids in one statement."""


def chunks(values: Iterable[T], size: int = AT_ONCE) -> Iterator[list[T]]:
    """Lists of at most `size` values."""
    stream = iter(values)
    while some := list(islice(stream, size)):
        yield some
