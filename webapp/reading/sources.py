"""The bytes of an upload as blocks, counted while they are read, so that an archive cannot unpack without end."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, cast

from sptar_engine.errors import InputError

BLOCK = 1 << 18  # bytes

GZIP_MARK = b"\x1f\x8b"


class Budget:
    """How many unpacked bytes may still be read of one upload."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.used = 0

    def spend(self, count: int) -> None:
        """Count bytes. Raises InputError when they are too many."""
        self.used += count
        if self.used > self._limit:
            raise InputError(
                f"The file unpacks to more than {self._limit >> 20} MB, which is more than this server reads. Nothing "
                "was imported. Split it into several files."
            )


class FileSource:
    """A file, unpacked when it is gzip. `done` and `total` are bytes of the file as it was uploaded."""

    def __init__(self, path: Path, budget: Budget) -> None:
        self._raw = path.open("rb")
        self._budget = budget
        self.total = path.stat().st_size
        head = self._raw.read(2)
        self._raw.seek(0)
        packed = head == GZIP_MARK
        self._stream = cast("IO[bytes]", gzip.GzipFile(fileobj=self._raw)) if packed else self._raw

    def __enter__(self) -> FileSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._raw.close()

    @property
    def done(self) -> int:
        """Bytes of the upload read so far."""
        return 0 if self._raw.closed else self._raw.tell()

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from read_blocks(self._stream, self._budget)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError("The gzip file is damaged or cut short. Pack it again.") from error


def read_blocks(stream: IO[bytes], budget: Budget) -> Iterator[bytes]:
    """Yield the unpacked blocks of a stream, each counted. What cannot be unpacked raises what the stream raises."""
    while block := stream.read(BLOCK):
        budget.spend(len(block))
        yield block
