"""What an uploaded file is, by its content; the name only decides between kinds of plain text."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from sptar_engine.errors import InputError
from webapp.reading.archives import EMPTY_ZIP_MARK, ZIP_MARK, Archive
from webapp.reading.beir_zip import find_parts
from webapp.reading.sources import BLOCK, Budget, FileSource
from webapp.reading.table_guess import guess_table
from webapp.reading.text_lines import guess_encoding, text_lines, wide_codec
from webapp.reading.texts import TEXT_ENDINGS

JSONL, TABLE, TEXTS, BEIR, PDF, DOCX = "jsonl", "table", "texts", "beir", "pdf", "docx"

_REFUSED = {
    b"\xd0\xcf\x11\xe0": "This is an old Word or Excel file. Save it as .docx or as CSV and upload that.",
    b"{\\rtf": "This is an RTF file. Save it as .docx or as plain text and upload that.",
    b"Rar!": "This is a RAR archive. Unpack it and upload the files, or pack them as a zip.",
    b"7z\xbc\xaf": "This is a 7z archive. Unpack it and upload the files, or pack them as a zip.",
    b"PAR1": "This is a Parquet file. Export it as CSV or JSON lines and upload that.",
    b"SQLite format 3": "This is a database. Export its table as CSV and upload that.",
}
_KINDS = "JSON lines, CSV or TSV, PDF, Word (.docx), and zip archives of them"


@dataclass(frozen=True, slots=True)
class Sniffed:
    """A kind (a value of Upload.Kind) and the choices it begins with."""

    kind: str
    options: dict[str, Any] = field(default_factory=dict)


def sniff(path: Path, name: str, limit: int) -> Sniffed:
    """Look at the beginning of a file. Raises InputError with one sentence for what cannot be read at all."""
    head = read_head(path, limit)
    if not head:
        raise InputError("The file is empty. Choose the file that holds your documents.")
    for mark, sentence in _REFUSED.items():
        if head.startswith(mark):
            raise InputError(sentence)
    if head.startswith(b"%PDF-"):
        return Sniffed(PDF, {"chunking": "paragraphs"})
    if head.startswith(EMPTY_ZIP_MARK):
        raise InputError("The zip archive holds no files.")
    if head.startswith(ZIP_MARK):
        return _sniff_zip(path, limit)
    encoding = guess_encoding(head)
    if not _is_text(head, encoding):
        raise InputError(f"This file is of a kind that is not read. What is read: {_KINDS}.")
    return sniff_text(head, encoding, name)


def read_head(path: Path, limit: int) -> bytes:
    """The first unpacked bytes of a file."""
    with FileSource(path, Budget(max(limit, 2 * BLOCK))) as source:
        return next(iter(source), b"")


def sniff_text(head: bytes, encoding: str, name: str) -> Sniffed:
    """Tell JSON lines from tables and from plain text."""
    first = next((line.text for line in text_lines([head], encoding) if line.text.strip()), "")
    if _looks_like_json(first):
        return Sniffed(JSONL, {"encoding": encoding})
    if PurePosixPath(name.lower().removesuffix(".gz")).suffix in TEXT_ENDINGS:
        return Sniffed(TEXTS, {"chunking": "paragraphs"})
    return Sniffed(TABLE, {"encoding": encoding, **table_options(head, encoding)})


def table_options(head: bytes, encoding: str, delimiter: str = "") -> dict[str, Any]:
    """The guessed choices of a table."""
    guess = guess_table(head, encoding, delimiter)
    return {"delimiter": guess.delimiter, "header": guess.header, "roles": guess.roles}


def _sniff_zip(path: Path, limit: int) -> Sniffed:
    with Archive(path, Budget(limit)) as archive:
        names = {entry.filename for entry in archive.entries}
        if "word/document.xml" in names:
            return Sniffed(DOCX, {"chunking": "paragraphs"})
        if "xl/workbook.xml" in names:
            raise InputError("This is an Excel workbook. In Excel, save it as “CSV UTF-8” and upload that.")
        if "ppt/presentation.xml" in names:
            raise InputError("This is a PowerPoint file. Save it as PDF and upload that.")
        if find_parts(archive) is not None:
            return Sniffed(BEIR)
    return Sniffed(TEXTS, {"chunking": "paragraphs"})


def _looks_like_json(line: str) -> bool:
    if line.lstrip().startswith(("{", "[")):
        return True
    try:
        return not isinstance(json.loads(line[:1000]), (str, int, float))
    except (ValueError, RecursionError):
        return False


def _is_text(head: bytes, encoding: str) -> bool:
    if wide_codec(head):
        return True
    controls = sum(head.count(bytes([byte])) for byte in range(32) if byte not in (9, 10, 12, 13, 27))
    # Texts may hold a stray NUL (it is replaced); binary files are full of control characters.
    return controls <= len(head) // (100 if encoding == "utf-8" else 500)
