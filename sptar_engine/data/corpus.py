"""A corpus.jsonl of any size: read as a stream, or looked up by id without being held in memory."""

from __future__ import annotations

from collections.abc import Collection, ItemsView, Iterator, Mapping, ValuesView
from dataclasses import dataclass, field
from pathlib import Path

from sptar_engine.data.fingerprints import FingerprintTable, fingerprint
from sptar_engine.data.lines import Line, line_at, parse_id, parse_object, parse_text, quoted, read_lines
from sptar_engine.errors import InputError
from sptar_engine.records import Document

CORPUS_FILE = "corpus.jsonl"


@dataclass(slots=True)
class Tally:
    """What reading a corpus left out or changed; filled while the documents are read."""

    documents: int = 0
    empty_ids: list[str] = field(default_factory=list)
    replaced_characters: int = 0


def iter_documents(path: Path, tally: Tally | None = None) -> Iterator[Document]:
    """Yield the documents of a corpus.jsonl in file order; empty ones are skipped and counted in `tally`.

    A row has `_id`, `text` and, when it likes, `title`. Memory: under 50 bytes a document, for the check that no id
    comes twice. Raises InputError for a bad row, an id that comes twice, and a file without any document.
    """
    tally = Tally() if tally is None else tally
    first_lines = FingerprintTable()
    for line, document in _read_rows(path, tally):
        first = first_lines.setdefault(fingerprint(document.doc_id), line.number)
        if first != line.number and _id_on_line(path, first) == document.doc_id:
            raise line.error(f"the document id {quoted(document.doc_id)} was already given on line {first}")
        if not document.content:
            tally.empty_ids.append(document.doc_id)
            continue
        tally.documents += 1
        yield document
    if not tally.documents:
        raise InputError(f"{path} holds no document with a text")


def read_corpus(folder: Path) -> FileCorpus:
    """The corpus of a dataset folder as a mapping; only its index is held in memory. Raises InputError."""
    return FileCorpus(folder / CORPUS_FILE)


def find_documents(folder: Path, doc_ids: Collection[str]) -> dict[str, Document]:
    """The documents of these ids, in one pass that stops when all are found. Unknown ids are left out."""
    missing = set(doc_ids)
    found: dict[str, Document] = {}
    rows = _read_rows(folder / CORPUS_FILE, Tally())
    while missing and (row := next(rows, None)):
        document = row[1]
        if document.doc_id in missing:
            missing.remove(document.doc_id)
            found[document.doc_id] = document
    return found


class FileCorpus(Mapping[str, Document]):
    """Documents by id, in corpus order, read from the file when they are asked for.

    Holds where each document starts and no id: at most 48 bytes a document. Iterating reads the file as a stream.
    """

    def __init__(self, path: Path) -> None:
        """Scan the file once. Raises InputError as `iter_documents` does."""
        self._path = path
        self._offsets = FingerprintTable()  # fingerprint of the id -> where its line starts
        self._clashes: dict[str, int] = {}  # ids whose fingerprint belongs to another id: next to none
        self._length = 0
        for line, document in _read_rows(path, Tally()):
            self._add(line, document)
        if not self._length:
            raise InputError(f"{path} holds no document with a text")

    def __getitem__(self, doc_id: str) -> Document:
        offset = self._clashes.get(doc_id)
        if offset is None:
            offset = self._offsets.get(fingerprint(doc_id))
        if offset is not None:
            document = _parse_document(line_at(self._path, offset), Tally())
            if document.doc_id == doc_id and document.content:
                return document
        raise KeyError(doc_id)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[str]:
        return (document.doc_id for document in self.documents())

    def items(self) -> ItemsView[str, Document]:
        """Ids and documents; iterating reads one stream."""
        return _StreamedItems(self)

    def values(self) -> ValuesView[Document]:
        """Documents; iterating reads one stream."""
        return _StreamedValues(self)

    def documents(self) -> Iterator[Document]:
        """The documents in corpus order, read as one stream."""
        return (document for _, document in _read_rows(self._path, Tally()) if document.content)

    def _add(self, line: Line, document: Document) -> None:
        offset = self._offsets.setdefault(fingerprint(document.doc_id), line.offset)
        if offset != line.offset:
            other = _parse_document(line_at(self._path, offset), Tally()).doc_id
            if document.doc_id == other or document.doc_id in self._clashes:
                raise line.error(f"the document id {quoted(document.doc_id)} was already given on an earlier line")
            self._clashes[document.doc_id] = line.offset
        self._length += bool(document.content)


class _StreamedItems(ItemsView[str, Document]):
    _mapping: FileCorpus

    def __iter__(self) -> Iterator[tuple[str, Document]]:
        return ((document.doc_id, document) for document in self._mapping.documents())


class _StreamedValues(ValuesView[Document]):
    _mapping: FileCorpus

    def __iter__(self) -> Iterator[Document]:
        return self._mapping.documents()


def _read_rows(path: Path, tally: Tally) -> Iterator[tuple[Line, Document]]:
    return ((line, _parse_document(line, tally)) for line in read_lines(path))


def _parse_document(line: Line, tally: Tally) -> Document:
    row = parse_object(line)
    doc_id = parse_id(line, row.get("_id"), "_id")
    if "text" not in row:
        raise line.error(f"the document {quoted(doc_id)} has no text; a row is _id, title, text")
    text, replaced_in_text = parse_text(line, row, "text")
    title, replaced_in_title = parse_text(line, row, "title") if "title" in row else ("", 0)
    tally.replaced_characters += replaced_in_text + replaced_in_title
    return Document(doc_id, text, title)


def _id_on_line(path: Path, number: int) -> str:
    line = next(line for line in read_lines(path) if line.number == number)
    return parse_id(line, parse_object(line).get("_id"), "_id")
