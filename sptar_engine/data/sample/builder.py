"""Write the sample dataset in BEIR's layout.

The documents are read from the running interpreter, so nothing is downloaded and no text is shipped with
the product: only the questions and their answers' ids are (questions.jsonl beside this module). Another
patch release may lack a few documents; answers that are gone are dropped and counted.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

from sptar_engine.data.beir import SPLITS, write_dataset
from sptar_engine.data.sample import documents
from sptar_engine.errors import InputError
from sptar_engine.records import Document, Qrels, Query


@dataclass(frozen=True, slots=True)
class SampleReport:
    """What was written, and what this interpreter lacks."""

    documents: int
    queries: Mapping[str, int]  # by split
    pairs: int
    dropped_ids: tuple[str, ...]  # answers that are no document here
    dropped_queries: tuple[str, ...]  # questions that lost every answer
    skipped_modules: tuple[str, ...]  # listed modules that do not import here


@dataclass(frozen=True, slots=True)
class Question:
    """A line of questions.jsonl. `relevant` is {doc_id: grade}: 2 answers the question, 1 also helps."""

    query: Query
    split: str
    relevant: Mapping[str, int]


def write_sample(out: Path) -> SampleReport:
    """Write corpus.jsonl, queries.jsonl and qrels/{train,dev,test}.tsv into the folder `out`.

    All of it appears at once or not at all. Raises InputError when `out` is a file or a folder with
    something in it.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} exists and is not an empty folder; the sample needs a new or an empty one")
    corpus, skipped_modules = collect_documents()
    known = {document.doc_id for document in corpus}
    asked = read_questions()
    kept = [question for question in (_answerable(one, known) for one in asked) if question.relevant]
    _write_whole(out, corpus, kept)

    kept_ids = {question.query.query_id for question in kept}
    return SampleReport(
        documents=len(corpus),
        queries={split: sum(question.split == split for question in kept) for split in SPLITS},
        pairs=sum(len(question.relevant) for question in kept),
        dropped_ids=tuple(sorted({doc_id for question in asked for doc_id in question.relevant} - known)),
        dropped_queries=tuple(one.query.query_id for one in asked if one.query.query_id not in kept_ids),
        skipped_modules=skipped_modules,
    )


def collect_documents() -> tuple[list[Document], tuple[str, ...]]:
    """The documents, sorted by id, and the listed modules that do not import here.

    Asks a new interpreter that sees the standard library only (see documents.py).
    """
    command = [sys.executable, "-I", "-S", documents.__file__]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)  # noqa: S603 our own file
    entries, skipped = json.loads(done.stdout)
    return [Document(doc_id, text, title) for doc_id, title, text in entries], tuple(skipped)


def read_questions() -> list[Question]:
    """The questions shipped with the product, in file order."""
    lines = (resources.files(__package__) / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [Question(Query(row["_id"], row["text"]), row["split"], row["relevant"]) for row in rows]


def _answerable(question: Question, known: set[str]) -> Question:
    relevant = {doc_id: grade for doc_id, grade in question.relevant.items() if doc_id in known}
    return replace(question, relevant=relevant)


def _write_whole(out: Path, corpus: Iterable[Document], questions: Iterable[Question]) -> None:
    qrels: dict[str, dict[str, Mapping[str, int]]] = {split: {} for split in SPLITS}
    for question in questions:
        qrels[question.split][question.query.query_id] = question.relevant
    parent = out.absolute().parent
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".sample.", dir=parent) as scratch:
        folder = Path(scratch) / "dataset"  # not the scratch folder itself: only its owner may enter that
        write_dataset(
            folder,
            corpus,
            queries=(question.query for question in questions),
            qrels={split: Qrels(grades) for split, grades in qrels.items()},
        )
        folder.replace(out)
