"""A whole BEIR dataset in one zip: corpus.jsonl, queries.jsonl and qrels/*.tsv, at its top or in one folder."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sptar_engine.data.beir import CORPUS_FILE, QUERIES_FILE, qrels_path
from webapp.reading.archives import Archive
from webapp.reading.jsonl import read_jsonl
from webapp.reading.rows import Found

LABELS_FOLDER = "labels"
"""Where queries and qrels are put, beside the upload."""

_MAX_LABELS = 512 << 20  # bytes of one file of labels
_SPLITS = {"train": "train", "dev": "dev", "valid": "dev", "validation": "dev", "val": "dev", "test": "test"}


@dataclass(frozen=True, slots=True)
class Parts:
    """The entries that make a dataset. `qrels` holds one for each split that is there."""

    corpus: zipfile.ZipInfo
    queries: zipfile.ZipInfo | None
    qrels: dict[str, zipfile.ZipInfo] = field(default_factory=dict)

    @property
    def has_labels(self) -> bool:
        """Whether examples come with the documents."""
        return self.queries is not None and bool(self.qrels)


def find_parts(archive: Archive) -> Parts | None:
    """The dataset of an archive: the one nearest to its top; None when there is no corpus.jsonl."""
    by_name = {entry.filename: entry for entry in archive.entries}
    corpora = [name for name in by_name if name == CORPUS_FILE or name.endswith(f"/{CORPUS_FILE}")]
    if not corpora:
        return None
    corpus = min(corpora, key=lambda name: (name.count("/"), name))
    folder = corpus.removesuffix(CORPUS_FILE)
    qrels: dict[str, zipfile.ZipInfo] = {}
    for name, split in _SPLITS.items():
        entry = by_name.get(f"{folder}qrels/{name}.tsv")
        if entry is not None:
            qrels.setdefault(split, entry)
    return Parts(by_name[corpus], by_name.get(f"{folder}{QUERIES_FILE}"), qrels)


def read_documents(archive: Archive, parts: Parts, encoding: str) -> Iterator[Found]:
    """Yield the documents of the dataset, or problems."""
    return read_jsonl(archive.blocks(parts.corpus), encoding)


def extract_labels(archive: Archive, parts: Parts, folder: Path) -> None:
    """Write queries and qrels below `folder` in BEIR's layout."""
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    if parts.queries is not None:
        archive.extract(parts.queries, folder / QUERIES_FILE, _MAX_LABELS)
    for split, entry in parts.qrels.items():
        archive.extract(entry, qrels_path(folder, split), _MAX_LABELS)
