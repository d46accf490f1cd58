"""Room on the disk: asked for before work that writes much, and told in words when it runs out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sptar_engine.disk import is_full_disk
from sptar_engine.errors import StageError
from webapp.uploads import free_bytes

_SPARE = 64 << 20  # bytes that stay free for the database's own needs


def room_for(needed: int) -> None:
    """Raise StageError unless `needed` bytes fit on the disk."""
    free = free_bytes()
    if needed + _SPARE > free:
        raise StageError(
            f"There is not enough room on the server's disk: about {needed + _SPARE >> 20:,} MB are needed and "
            f"{free >> 20:,} MB are free. Nothing is lost; make room and try again."
        )


@contextmanager
def told_when_full() -> Iterator[None]:
    """Turn a full disk into a sentence."""
    try:
        yield
    except OSError as error:
        if not is_full_disk(error):
            raise
        raise StageError("The server's disk is full. Nothing is lost; make room and try again.") from error
