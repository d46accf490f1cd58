"""The file of a backup: a zip whose manifest has the SHA-256 of everything in it, and is itself named by its own.

It appears whole or not at all. A half file has no directory and is no zip; a changed one fails its checksum.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

FORMAT = 1
MANIFEST = "manifest.json"
_BLOCK = 1 << 20  # bytes
_PACKED = {".safetensors", ".zip", ".gz", ".npy", ".pdf", ".docx", ".png"}  # what deflating would only slow down


class BadBackup(Exception):
    """A sentence why a file is no backup that can be restored."""


@dataclass
class Writer:
    """Adds members to an archive and keeps what the manifest says of them."""

    archive: zipfile.ZipFile
    members: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add_lines(self, name: str, lines: Iterable[str]) -> None:
        """Write lines of text; they are not held in memory."""
        self._add(name, (f"{line}\n".encode() for line in lines), zipfile.ZIP_DEFLATED)

    def add_file(self, name: str, path: Path) -> None:
        """Write a file as it is now. Raises FileNotFoundError when it has gone."""
        packed = path.suffix.lower() in _PACKED
        with path.open("rb") as file:
            self._add(name, _blocks(file), zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED)

    def add_link(self, name: str, same_as: str) -> None:
        """Say that a file is the same one as another member, as a hard link is."""
        self.members[name] = {"same_as": same_as}

    def _add(self, name: str, blocks: Iterable[bytes], method: int) -> None:
        entry = zipfile.ZipInfo(name)
        entry.compress_type = method
        entry.external_attr = 0o600 << 16
        digest, size = hashlib.sha256(), 0
        with self.archive.open(entry, "w", force_zip64=True) as member:
            for block in blocks:
                member.write(block)
                digest.update(block)
                size += len(block)
        self.members[name] = {"sha256": digest.hexdigest(), "bytes": size}


@contextmanager
def writing(path: Path, facts: dict[str, Any]) -> Iterator[Writer]:
    """Make the archive `path`; it has that name only after the block has ended well and the disk has all of it.

    `facts` goes into the manifest; what the block adds to it does too.
    """
    scratch = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            with zipfile.ZipFile(file, "w", compresslevel=1) as archive:
                writer = Writer(archive)
                yield writer
                manifest = json.dumps({"format": FORMAT, **facts, "members": writer.members}, sort_keys=True).encode()
                archive.writestr(MANIFEST, manifest)
                archive.comment = hashlib.sha256(manifest).hexdigest().encode()
            file.flush()
            os.fsync(file.fileno())
        os.link(scratch, path)  # unlike a rename, it does not replace
    finally:
        scratch.unlink(missing_ok=True)
    _sync_folder(path.parent)


class Reader:
    """An archive whose every byte has been checked. Raises BadBackup from the constructor."""

    def __init__(self, path: Path) -> None:
        try:
            self._archive = zipfile.ZipFile(path)
        except FileNotFoundError:
            raise BadBackup(f"There is no file {path}.") from None
        except (OSError, zipfile.BadZipFile):
            raise BadBackup(
                f"{path} is no backup, or only a part of one: its directory at the end is missing."
            ) from None
        try:
            self.manifest = self._read_manifest(path)
            self._check(path)
        except BaseException:
            self._archive.close()
            raise

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *error: object) -> None:
        self._archive.close()

    @property
    def members(self) -> dict[str, dict[str, Any]]:
        """What the manifest says of each member: `sha256` and `bytes`, or `same_as`."""
        found: dict[str, dict[str, Any]] = self.manifest["members"]
        return found

    def lines(self, name: str) -> Iterator[str]:
        """The lines of a member, without their ends."""
        with self._archive.open(name) as member:
            for line in member:
                yield line.decode().removesuffix("\n")

    def extract(self, name: str, path: Path) -> None:
        """Write a member to a new file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._archive.open(name) as member, path.open("xb") as file:
            for block in _blocks(member):
                file.write(block)

    def _read_manifest(self, path: Path) -> dict[str, Any]:
        try:
            text = self._archive.read(MANIFEST)
        except (KeyError, zipfile.BadZipFile):
            raise BadBackup(f"{path} is a zip file, but no backup of SPTAR: it has no manifest.") from None
        if hashlib.sha256(text).hexdigest().encode() != self._archive.comment:
            raise BadBackup(f"{path} is not whole, or was changed after the backup was made.")
        manifest: dict[str, Any] = json.loads(text)
        if manifest["format"] != FORMAT:
            raise BadBackup(
                f"{path} has the format {manifest['format']}; this version reads {FORMAT}. Update SPTAR first."
            )
        return manifest

    def _check(self, path: Path) -> None:
        for name, said in self.members.items():
            if Path(name).is_absolute() or ".." in Path(name).parts:
                raise BadBackup(f"{path} names a file outside of it: {name}.")
            if "same_as" in said:
                if "sha256" not in self.members.get(said["same_as"], {}):
                    raise BadBackup(f"{path} is damaged: {name} refers to nothing.")
            elif self._digest(name) != said["sha256"]:
                raise BadBackup(f"{path} is damaged: the checksum of {name} is not the one that was written down.")

    def _digest(self, name: str) -> str:
        digest = hashlib.sha256()
        try:
            with self._archive.open(name) as member:
                for block in _blocks(member):
                    digest.update(block)
        except (KeyError, OSError, EOFError, zipfile.BadZipFile, zipfile.zlib.error):  # type: ignore[attr-defined]
            return "unreadable"
        return digest.hexdigest()


def _blocks(file: BinaryIO | Any) -> Iterator[bytes]:
    while block := file.read(_BLOCK):
        yield block


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
