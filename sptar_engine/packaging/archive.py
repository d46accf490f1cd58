"""What goes into the archive, and the archive itself: the same files give the same bytes."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from sptar_engine.artifacts import sha256_file
from sptar_engine.errors import StageError

SUMS = "SHA256SUMS"
_CARD = "README.md"  # of the trained model: left out, because we write our own
# What sentence-transformers writes with safetensors: weights, settings, vocabularies, chat templates. A list of what
# may go in refuses more than a list of what may not: pickles and code are only the formats known to be unsafe.
_SUFFIXES = frozenset({".safetensors", ".json", ".txt", ".model", ".jinja"})
_OLDEST = (1980, 1, 1, 0, 0, 0)  # the first date a zip can hold
_MODE = 0o100644 << 16  # a plain file that its owner may write and all may read
_UNIX = 3

Content = Path | bytes
"""A file to copy, or the bytes of one that is written for the archive."""


def model_files(model: Path) -> dict[str, Content]:
    """The files of a sentence-transformers folder by their relative POSIX path, its own model card left out.

    Raises StageError for a file that could carry code, a link, or a folder without safetensors weights.
    """
    files: dict[str, Content] = {}
    for path in sorted(model.rglob("*")):
        name = path.relative_to(model).as_posix()
        if path.is_symlink():
            raise StageError(f"The trained model holds a link, {name}; only plain files are packaged.")
        if path.is_dir() or name == _CARD:
            continue
        if path.suffix not in _SUFFIXES:
            allowed = ", ".join(sorted(_SUFFIXES))
            raise StageError(f"The trained model holds {name}, which is not packaged: only {allowed} are allowed.")
        files[name] = path
    if not any(name.endswith(".safetensors") for name in files):
        raise StageError("The trained model has no .safetensors file, and weights in no other format are packaged.")
    if "modules.json" not in files:
        raise StageError("The trained model has no modules.json, so it is not a sentence-transformers folder.")
    return files


def digests(files: Mapping[str, Content]) -> dict[str, str]:
    """SHA-256 of every file by name, sorted."""
    return {name: _digest(content) for name, content in sorted(files.items())}


def sums(digests: Mapping[str, str]) -> bytes:
    """The text of a SHA256SUMS file, as `sha256sum --check` reads it."""
    return "".join(f"{digest}  {name}\n" for name, digest in digests.items()).encode()


def write_archive(path: Path, folder: str, files: Mapping[str, Content], tick: Callable[[int, int, str], None]) -> None:
    """Write an uncompressed zip with one top folder: names sorted, dates and modes fixed, so the bytes are too.

    Weights do not compress, and a stored zip can be read in place. `tick(done, total, name)` is called per file.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for number, (name, content) in enumerate(sorted(files.items())):
            tick(number, len(files), name)
            entry = zipfile.ZipInfo(f"{folder}/{name}", date_time=_OLDEST)
            entry.external_attr, entry.create_system = _MODE, _UNIX
            entry.file_size = _size(content)  # known before writing, so a file above 4 GiB gets a zip64 header
            with archive.open(entry, "w") as target:
                if isinstance(content, bytes):
                    target.write(content)
                else:
                    with content.open("rb") as source:
                        shutil.copyfileobj(source, target, 1 << 20)


def _digest(content: Content) -> str:
    return hashlib.sha256(content).hexdigest() if isinstance(content, bytes) else sha256_file(content)


def _size(content: Content) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size
