"""Datasets in BEIR's layout, in and out: corpus.jsonl, queries.jsonl and qrels/{train,dev,test}.tsv."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sptar_engine.artifacts import atomic_writer, write_jsonl
from sptar_engine.data.corpus import CORPUS_FILE, FileCorpus, Tally, find_documents, iter_documents, read_corpus
from sptar_engine.data.judgements import HEADER, build_qrels, read_judgements
from sptar_engine.data.lines import clean_text, id_problem, parse_id, parse_object, parse_text, quoted, read_lines
from sptar_engine.data.query_styles import parse_style
from sptar_engine.errors import InputError
from sptar_engine.records import Document, Qrels, Query

__all__ = [
    "CORPUS_FILE", "QUERIES_FILE", "SPLITS", "FileCorpus", "Tally", "find_documents", "iter_documents",
    "qrels_path", "read_corpus", "read_qrels", "read_queries", "write_corpus", "write_dataset", "write_labels",
]  # fmt: skip

QUERIES_FILE = "queries.jsonl"
SPLITS = ("train", "dev", "test")
"""Seeds, held-out queries (perplexity and choice of model), and queries for the last evaluation only."""


def qrels_path(folder: Path, split: str) -> Path:
    """Where a dataset keeps the judgements of a split."""
    return folder / "qrels" / f"{split}.tsv"


def read_queries(folder: Path) -> dict[str, Query]:
    """The queries of a dataset by id, in file order. A row has `_id`, `text` and, when it likes, `metadata.style`.

    Raises InputError for a bad row, an empty text, an unknown style and an id that comes twice.
    """
    queries: dict[str, Query] = {}
    lines: dict[str, int] = {}
    for line in read_lines(folder / QUERIES_FILE):
        row = parse_object(line)
        query_id = parse_id(line, row.get("_id"), "_id")
        text = parse_text(line, row, "text")[0] if "text" in row else ""
        if not text.strip():
            raise line.error(f"the query {quoted(query_id)} has no text")
        if query_id in lines:
            raise line.error(f"the query id {quoted(query_id)} was already given on line {lines[query_id]}")
        lines[query_id] = line.number
        queries[query_id] = Query(query_id, text, parse_style(line, row.get("metadata")))
    return queries


def read_qrels(folder: Path, split: str) -> Qrels:
    """The judgements of a split, in file order. Raises InputError for a missing file or a bad row."""
    return build_qrels(read_judgements(qrels_path(folder, split)))


def write_dataset(
    folder: Path, documents: Iterable[Document], queries: Iterable[Query], qrels: Mapping[str, Qrels]
) -> None:
    """Write a dataset that `read_corpus`, `read_queries` and `read_qrels` give back; each file is whole or absent.

    `documents` may be a stream. Raises InputError for an id that could not be read back.
    """
    write_corpus(folder, documents)
    write_labels(folder, queries, qrels)


def write_corpus(folder: Path, documents: Iterable[Document]) -> None:
    """Write corpus.jsonl from a stream. Raises InputError for an id that could not be read back."""
    write_jsonl(folder / CORPUS_FILE, map(_document_row, documents))


def write_labels(folder: Path, queries: Iterable[Query], qrels: Mapping[str, Qrels]) -> None:
    """Write queries.jsonl and a qrels file for each split. Raises InputError for an id that could not be read back."""
    write_jsonl(folder / QUERIES_FILE, map(_query_row, queries))
    for split, judged in qrels.items():
        with atomic_writer(qrels_path(folder, split)) as stream:
            stream.writelines(f"{line}\n" for line in _qrels_lines(judged))


def _document_row(document: Document) -> dict[str, Any]:
    title, text = clean_text(document.title)[0], clean_text(document.text)[0]
    return {"_id": _checked(document.doc_id), "title": title, "text": text}


def _query_row(query: Query) -> dict[str, Any]:
    style = {"metadata": {"style": query.style}} if query.style else {}
    return {"_id": _checked(query.query_id), "text": clean_text(query.text)[0], **style}


def _qrels_lines(qrels: Qrels) -> Iterator[str]:
    yield "\t".join(HEADER)
    for query_id, grades in qrels.grades.items():
        for doc_id, grade in grades.items():
            yield f"{_checked(query_id)}\t{_checked(doc_id)}\t{grade}"


def _checked(value: str) -> str:
    if problem := id_problem(value):
        raise InputError(f"the id to write {problem}")
    return value
