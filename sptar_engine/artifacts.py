"""Files that are either whole or absent, and the checksums that prove it."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from sptar_engine.errors import ArtifactError

_BLOCK = 1 << 20  # bytes read at a time when hashing


def sha256_file(path: Path) -> str:
    """Return the hex digest of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def sha256_json(value: Any) -> str:
    """Return the hex digest of a JSON value, independent of the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def checksums(folder: Path, skip: frozenset[str] = frozenset()) -> dict[str, str]:
    """Digest of every file below a folder by its relative POSIX path, sorted.

    `skip` names files or folders directly below `folder` that do not count.
    """
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    named = ((path.relative_to(folder), path) for path in files)
    return {name.as_posix(): sha256_file(path) for name, path in named if name.parts[0] not in skip}


def content_hash(path: Path) -> str:
    """Digest of a file, or of all files of a folder with their names."""
    if path.is_file():
        return sha256_file(path)
    return sha256_json(checksums(path))


@contextmanager
def atomic_writer(path: Path) -> Iterator[IO[str]]:
    """Open a text file that appears under its name only when the block ends without an error.

    The bytes are on the disk before the name is, so a crash leaves the old file or the new one, never half of one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """Write a JSON value atomically, indented, keys in their given order."""
    with atomic_writer(path) as stream:
        json.dump(value, stream, indent=2, ensure_ascii=False, allow_nan=False)
        stream.write("\n")


def read_json(path: Path) -> Any:
    """Read a JSON file that we wrote. Raises ArtifactError when it is missing or broken."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ArtifactError(f"{path} is missing") from error
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{path} is not whole: {error}") from error


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write one JSON object a line, atomically. Returns the number of lines."""
    count = 0
    with atomic_writer(path) as stream:
        for row in rows:
            stream.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
            count += 1
    return count


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a file that we wrote. Raises ArtifactError, with the line, when it is broken."""
    try:
        stream = path.open(encoding="utf-8", newline="\n")
    except FileNotFoundError as error:
        raise ArtifactError(f"{path} is missing") from error
    with stream:
        for number, line in enumerate(stream, 1):
            try:
                yield json.loads(line)
            except ValueError as error:
                raise ArtifactError(f"{path}, line {number}: not whole: {error}") from error
