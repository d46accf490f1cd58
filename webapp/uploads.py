"""Receiving files: streamed to disk below the data folder, hashed on the way, refused when they are over the limit."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, StopUpload
from django.http import HttpRequest

from sptar_engine.disk import is_full_disk
from sptar_engine.errors import InputError

_SPARE = 256 << 20  # bytes of the disk that an upload leaves free: the database and the jobs write too
_BLOCK = 1 << 20  # bytes
_STALE = 24 * 3600  # seconds after which what lies in a scratch folder belongs to a process that died


class ReceivedFile(UploadedFile):
    """A file that has arrived. It goes when the request ends, unless `move_to` gave it a place."""

    def __init__(self, path: Path, **about: Any) -> None:
        super().__init__(path.open("r+b"), **about)
        self._path = path
        # A connection that breaks tells no handler: then this goes with the request.
        self._removal = weakref.finalize(self, path.unlink, missing_ok=True)
        self.sha256 = ""

    def temporary_file_path(self) -> str:
        """Where it lies until it is moved."""
        return str(self._path)

    def sync(self) -> None:
        """Bring its bytes to the disk for good, which may take a minute: call it before a transaction, not in one."""
        self.file.flush()
        os.fsync(self.file.fileno())

    def move_to(self, target: Path) -> None:
        """Give it, synced, a place on the same disk."""
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(self._path, target)
        os.chmod(target, 0o644)

    def close(self) -> None:
        """Close it, and remove it where nobody took it."""
        super().close()
        self._removal()


class LimitedUploadHandler(FileUploadHandler):
    """Streams files to disk, counting what really arrives.

    A file that is refused is read to its end and dropped, because browsers show no answer before they have sent
    everything; one that claims far more than the limit is not even read. `refusal(request)` is the reason. The
    parser's own way to skip a file reads the rest of the request line by line: a gigabyte without a line end would
    then stand in memory.
    """

    def handle_raw_input(
        self, input_data: Any, meta: Any, content_length: int, boundary: bytes, encoding: str | None = None
    ) -> None:
        """Look at what is announced before anything is read."""
        del input_data, meta, boundary, encoding
        self._limit = settings.UPLOAD_LIMIT_MB << 20
        self._announced = content_length

    def new_file(self, *arguments: Any, **named: Any) -> None:
        """Begin a file."""
        super().new_file(*arguments, **named)
        self._hash = hashlib.sha256()
        self._held, self._is_dropped = 0, False
        user = getattr(self.request, "user", None)
        if user is None or not user.is_authenticated:
            self._refuse("Log in to upload a file.")
            raise StopUpload(connection_reset=True)
        if self._announced > 2 * self._limit:
            self._refuse(_too_large())
            raise StopUpload(connection_reset=True)
        if self._announced > free_bytes() - _SPARE:
            self._refuse(_no_room(self._announced))
            return
        self.file = ReceivedFile(
            _temporary_file(), name=self.file_name, content_type=self.content_type, charset=self.charset
        )

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Write a block, or drop it."""
        del start  # what handlers before this one passed on; we count ourselves
        self._held += len(raw_data)
        if self._is_dropped:
            return
        if self._held > self._limit:
            self._refuse(_too_large())
            return
        self._hash.update(raw_data)
        try:
            self.file.write(raw_data)
        except OSError as error:
            if not is_full_disk(error):
                raise
            self._refuse(_no_room(self._held))

    def file_complete(self, file_size: int) -> ReceivedFile | None:
        """Hand over the whole file."""
        del file_size
        if self._is_dropped:
            return None
        self.file.size = self._held
        self.file.sha256 = self._hash.hexdigest()
        self.file.seek(0)
        return self.file

    def upload_interrupted(self) -> None:
        """The connection broke: nothing stays."""
        if hasattr(self, "file"):
            self.file.close()

    def _refuse(self, reason: str) -> None:
        self._is_dropped = True
        if self.request is not None:
            self.request.upload_refusal = reason
        if hasattr(self, "file"):
            self.file.close()


def copied(path: Path) -> ReceivedFile:
    """A copy of a file of this machine, as if it had arrived. Raises InputError for one that an upload could not be."""
    size = path.stat().st_size
    if size > settings.UPLOAD_LIMIT_MB << 20:
        raise InputError(_too_large())
    if size > free_bytes() - _SPARE:
        raise InputError(_no_room(size))
    file = ReceivedFile(_temporary_file(), name=path.name, size=size)
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
            file.write(block)
    file.sha256 = digest.hexdigest()
    file.seek(0)
    return file


def refusal(request: HttpRequest) -> str:
    """Why the file of a request was not taken, as a sentence; empty when it was. Read it after request.FILES."""
    return getattr(request, "upload_refusal", "")


def drop(request: HttpRequest) -> None:
    """Remove what has arrived of a request whose connection broke. Without this call it goes with the request."""
    for handler in request.upload_handlers:
        handler.upload_interrupted()


def free_bytes() -> int:
    """Room on the disk with the data folder."""
    return shutil.disk_usage(settings.DATA_DIR).free


def swept(folder: Path) -> Path:
    """The folder, made where it is missing, without what processes that died have left in it."""
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.iterdir():
        # One that cannot be removed, or that somebody else has removed by now, is no reason to refuse an upload.
        with suppress(OSError):
            if time.time() - left.lstat().st_mtime <= _STALE:
                continue
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left)
            else:
                left.unlink()
    return folder


def _too_large() -> str:
    return (
        f"The file is larger than {settings.UPLOAD_LIMIT_MB:,} MB, the limit of this server. Nothing of it was kept. "
        "Split it, or pack it as a zip or gzip file."
    )


def _no_room(needed: int) -> str:
    return (
        f"There is not enough room on the server's disk for this file: it has {needed >> 20:,} MB, and "
        f"{free_bytes() >> 20:,} MB are free. Nothing of it was kept. Ask the operator to make room."
    )


def _temporary_file() -> Path:
    handle, name = tempfile.mkstemp(dir=swept(Path(settings.DATA_DIR) / "incoming"))
    os.close(handle)
    return Path(name)
