"""One way to read every kind of upload: rows and problems, with how much of the file is behind."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any

from sptar_engine.errors import InputError
from webapp.reading import beir_zip, sniffing
from webapp.reading.archives import Archive
from webapp.reading.extraction import Extractor
from webapp.reading.jsonl import read_jsonl
from webapp.reading.rows import Found, Problem, Row
from webapp.reading.sources import Budget, FileSource
from webapp.reading.tables import read_table
from webapp.reading.texts import read_archive, read_single

PREVIEW = 20
"""Documents of a preview."""


class DocumentReading(AbstractContextManager["DocumentReading"]):
    """The documents of an upload as they are read. `done` of `total` bytes are behind.

    `options` are the person's choices: encoding, delimiter, header, roles. `limit` is in unpacked bytes. Raises
    InputError where the file as a whole cannot be read.
    """

    def __init__(self, path: Path, *, name: str, kind: str, options: dict[str, Any], scratch: Path, limit: int) -> None:
        self._stack = ExitStack()
        self._budget = Budget(limit)
        self._source: FileSource | None = None
        self.total = path.stat().st_size
        self.parts: beir_zip.Parts | None = None
        self.archive: Archive | None = None
        try:
            self._found = self._open(path, name, kind, options, scratch)
        except BaseException:
            self._stack.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def __iter__(self) -> Iterator[Found]:
        return self._found

    @property
    def done(self) -> int:
        """Bytes behind; for archives the unpacked ones."""
        return self._source.done if self._source else min(self._budget.used, self.total)

    def _open(self, path: Path, name: str, kind: str, options: dict[str, Any], scratch: Path) -> Iterator[Found]:
        encoding = options.get("encoding", "utf-8")
        if kind == sniffing.BEIR:
            archive = self._open_archive(path)
            self.parts = beir_zip.find_parts(archive)
            if self.parts is None:
                raise InputError("The archive holds no corpus.jsonl, so it is no BEIR dataset. Choose another kind.")
            return beir_zip.read_documents(archive, self.parts, encoding)
        if kind in (sniffing.TEXTS, sniffing.PDF, sniffing.DOCX):
            extractor = self._stack.enter_context(Extractor())
            if kind == sniffing.TEXTS and zipfile.is_zipfile(path):
                return read_archive(self._open_archive(path), extractor, scratch)
            return read_single(path, _named(name, kind), extractor)
        self._source = self._stack.enter_context(FileSource(path, self._budget))
        if kind == sniffing.JSONL:
            return read_jsonl(self._source, encoding)
        return read_table(
            self._source,
            encoding=encoding,
            delimiter=options.get("delimiter", ","),
            header=options.get("header", True),
            roles=options.get("roles", ["text"]),
        )

    def _open_archive(self, path: Path) -> Archive:
        self.archive = self._stack.enter_context(Archive(path, self._budget))
        self.total = max(1, sum(entry.file_size for entry in self.archive.entries))
        return self.archive


@dataclass(frozen=True, slots=True)
class Preview:
    """The first documents as they will be searched, the first problems, and the names of the first files."""

    rows: list[Row]
    problems: list[Problem]
    files: list[str]
    more_files: int = 0


def preview(path: Path, *, name: str, kind: str, options: dict[str, Any], limit: int) -> Preview:
    """Look at the beginning of an upload; PDF and Word files are not opened for it. Raises InputError."""
    if kind in (sniffing.PDF, sniffing.DOCX):
        return Preview([], [], [name])
    with DocumentReading(path, name=name, kind=kind, options=options, scratch=path.parent, limit=limit) as reading:
        if kind == sniffing.TEXTS and reading.archive is not None:
            names = [entry.filename for entry in reading.archive.entries]
            return Preview([], [], names[:PREVIEW], max(0, len(names) - PREVIEW))
        found = list(islice(reading, PREVIEW))
    rows = [row for row in found if isinstance(row, Row)]
    return Preview(rows, [row for row in found if isinstance(row, Problem)], [])


def _named(name: str, kind: str) -> str:
    """The name with the ending of its kind, which decides how it is read."""
    if kind == sniffing.TEXTS:
        return name
    return name if name.lower().endswith(f".{kind}") else f"{name}.{kind}"
