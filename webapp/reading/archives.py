"""Zip archives from strangers: looked at before they are opened, read in memory-flat blocks, never unpacked by name."""

from __future__ import annotations

import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from sptar_engine.errors import InputError
from webapp.reading.sources import Budget, read_blocks

ZIP_MARK = b"PK\x03\x04"
EMPTY_ZIP_MARK = b"PK\x05\x06"

MAX_ENTRIES = 50_000
_MAX_DIRECTORY = 8 << 20  # bytes of the list of entries, which is read into memory as a whole
_END = b"PK\x05\x06"
_END_BYTES = 22
_END_64 = b"PK\x06\x06"
_END_64_BYTES = 56
_LOCATOR_BYTES = 20
_OUTSIDE = re.compile(r"(^|[\\/])\.\.([\\/]|$)|^[\\/]|^[A-Za-z]:|\x00")
_JUNK = re.compile(r"(^|/)(__MACOSX/|\.|Thumbs\.db$|desktop\.ini$)", re.IGNORECASE)
_ENCRYPTED = 0x1


class EntryError(InputError):
    """One entry of an archive cannot be read; the others can."""


class Archive:
    """An open zip file. Everything read of it counts against `budget`, whatever sizes its headers claim.

    Raises InputError for an archive that is broken, has too many entries, links, or names that point outside of it.
    """

    def __init__(self, path: Path, budget: Budget) -> None:
        self._budget = budget
        _check_directory(path)
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError, UnicodeDecodeError, NotImplementedError) as error:
            raise InputError("The zip archive is damaged or cut short. Pack it again.") from error
        try:
            self.entries = [
                info for info in self._zip.infolist() if not info.is_dir() and not _JUNK.search(info.filename)
            ]
            self._check_entries()
        except InputError:
            self._zip.close()
            raise

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()

    def blocks(self, entry: zipfile.ZipInfo) -> Iterator[bytes]:
        """Yield the unpacked blocks of an entry. Raises EntryError when it cannot be read."""
        if entry.flag_bits & _ENCRYPTED:
            raise EntryError("the file is protected by a password")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise EntryError("the file is packed by an unusual method")
        try:
            with self._zip.open(entry) as stream:
                yield from read_blocks(stream, self._budget)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
            raise EntryError("the file is damaged in the archive") from error

    def read(self, entry: zipfile.ZipInfo, limit: int) -> bytes:
        """The whole entry in memory. Raises EntryError when it has more than `limit` bytes."""
        parts, held = [], 0
        for block in self.blocks(entry):
            held += len(block)
            if held > limit:
                raise EntryError(f"the file is larger than {limit >> 20} MB")
            parts.append(block)
        return b"".join(parts)

    def extract(self, entry: zipfile.ZipInfo, target: Path, limit: int) -> None:
        """Write an entry to a place of our own. Raises EntryError when it has more than `limit` bytes."""
        held = 0
        with target.open("wb") as stream:
            for block in self.blocks(entry):
                held += len(block)
                if held > limit:
                    raise EntryError(f"the file is larger than {limit >> 20} MB")
                stream.write(block)

    def _check_entries(self) -> None:
        # Names that were skipped as junk are looked at too: an archive that tries one of these tricks is not read.
        for info in self._zip.infolist():
            if _OUTSIDE.search(info.filename) or _OUTSIDE.search(info.orig_filename):
                raise InputError(
                    f"The archive holds a file whose name points outside of it ({info.filename[:80]!r}). Nothing of it "
                    "was read. Pack it again from a plain folder."
                )
            if stat.S_ISLNK(info.external_attr >> 16):
                raise InputError(
                    f"The archive holds a link ({info.filename[:80]!r}) instead of a file. Nothing of it was read. "
                    "Pack the files themselves."
                )
        if not self.entries:
            raise InputError("The zip archive holds no files.")


def _check_directory(path: Path) -> None:
    """Refuse an archive with too many entries before zipfile makes an object of each.

    The end record is looked for where zipfile looks for it, so that both see the same one.
    """
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - _END_BYTES - 0xFFFF))
        tail = stream.read()
        start = len(tail) - _END_BYTES
        if tail[start : start + 4] != _END or tail[-2:] != b"\0\0":
            start = tail.rfind(_END)
        if start < 0 or len(tail) - start < _END_BYTES:
            raise InputError("The zip archive is damaged or cut short. Pack it again.")
        entries, directory = struct.unpack_from("<HL", tail, start + 10)
        before = size - len(tail) + start - _LOCATOR_BYTES - _END_64_BYTES
        if before >= 0:
            stream.seek(before)
            long_end = stream.read(_END_64_BYTES)
            if long_end.startswith(_END_64):
                entries, directory = struct.unpack_from("<QQ", long_end, 32)
    if entries > MAX_ENTRIES or directory > _MAX_DIRECTORY:
        raise InputError(
            f"The archive holds more than {MAX_ENTRIES:,} files. Split it, or put the texts into one CSV or JSON lines "
            "file instead."
        )
