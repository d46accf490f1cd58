"""Files that are one document each: text, PDF and Word, alone or in a zip."""

from __future__ import annotations

import unicodedata
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

from sptar_engine.data.lines import MAX_LINE_BYTES
from sptar_engine.errors import InputError
from webapp.reading.archives import Archive, EntryError
from webapp.reading.extraction import Extractor
from webapp.reading.rows import Found, Group, Problem, make_row
from webapp.reading.text_lines import decode, guess_encoding, wide_codec

TEXT_ENDINGS = (".txt", ".text", ".md", ".markdown")
EXTRACTED = {".pdf": "pdf", ".docx": "docx"}
ARCHIVE_ENDINGS = (".zip", ".gz", ".tgz", ".tar", ".7z", ".rar", ".bz2", ".xz")

_MAX_FILE = 256 << 20  # bytes of one PDF or Word file within an archive


def read_archive(archive: Archive, extractor: Extractor, scratch: Path) -> Iterator[Found]:
    """Yield a row or a problem for each file of an archive. `scratch` is a folder for one file at a time."""
    for entry in archive.entries:
        try:
            yield _read_entry(archive, entry, extractor, scratch)
        except EntryError as error:
            yield Problem(0, Group.FILE, str(error), "", entry.filename)


def read_single(path: Path, name: str, extractor: Extractor) -> Iterator[Found]:
    """Yield the one document of a file that the person named `name`."""
    ending = PurePosixPath(name).suffix.lower()
    kind = EXTRACTED.get(ending, "")
    if kind:
        found = _extracted(path, kind, name, extractor)
    elif path.stat().st_size > MAX_LINE_BYTES:
        found = _too_long(name)
    else:
        found = _plain(path.read_bytes(), name)
    yield found if isinstance(found, Problem) else replace(found, place="")


def _read_entry(archive: Archive, entry: zipfile.ZipInfo, extractor: Extractor, scratch: Path) -> Found:
    name = unicodedata.normalize("NFC", entry.filename)
    ending = PurePosixPath(name).suffix.lower()
    if ending in TEXT_ENDINGS:
        try:
            return _plain(archive.read(entry, MAX_LINE_BYTES), name)
        except EntryError as error:
            if "larger" in str(error):
                return _too_long(name)
            raise
    if ending in EXTRACTED:
        target = scratch / "entry"
        try:
            archive.extract(entry, target, _MAX_FILE)
            return _extracted(target, EXTRACTED[ending], name, extractor)
        finally:
            target.unlink(missing_ok=True)
    if ending in ARCHIVE_ENDINGS:
        fix = "Unpack it and upload its files."
        return Problem(0, Group.FILE, "an archive within the archive is not opened", "", name, fix)
    return Problem(0, Group.FILE, f"a file of the kind {ending or 'without an ending'} is not read", "", name)


def _plain(raw: bytes, name: str) -> Found:
    encoding = guess_encoding(raw)
    if encoding == "utf-16":
        text = raw.decode(wide_codec(raw) or "utf-16-le", errors="replace").removeprefix("\ufeff")
    else:
        text = decode(raw.removeprefix(b"\xef\xbb\xbf"), _whole(raw, encoding))
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return make_row(0, name, PurePosixPath(name).stem, text, name) if text.strip() else _empty(name)


def _whole(raw: bytes, encoding: str) -> str:
    """The guess forgives half a character at the end of a beginning; a whole file has no excuse."""
    if encoding == "utf-8":
        try:
            raw.decode("utf-8")
        except UnicodeDecodeError:
            return "latin-1"
    return encoding


def _extracted(path: Path, kind: str, name: str, extractor: Extractor) -> Found:
    try:
        found = extractor.extract(path, kind)
    except InputError as error:
        return Problem(0, Group.FILE, str(error), "", name)
    return make_row(0, name, found.title or PurePosixPath(name).stem, found.text, name)


def _empty(name: str) -> Problem:
    return Problem(0, Group.EMPTY, "the file is empty", "", name, "Leave the file out.")


def _too_long(name: str) -> Problem:
    reason = f"longer than {MAX_LINE_BYTES >> 20} MiB; a file is one document"
    return Problem(0, Group.LONG, reason, "", name, "Split the file into several ones.")
