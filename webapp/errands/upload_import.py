"""Makes a version of the project's documents from the good rows of a checked upload."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sptar_engine.artifacts import read_jsonl, sha256_file
from sptar_engine.configs import PrepareConfig
from sptar_engine.data.beir import CORPUS_FILE, Tally, write_corpus
from sptar_engine.data.health import HealthCheck, bundled_token_counter
from sptar_engine.errors import InputError
from sptar_engine.records import Document
from webapp.errands.disk import room_for, told_when_full
from webapp.errands.given_up import cleared_when_given_up
from webapp.jobs.attempt import Attempt
from webapp.models import Chunking, Corpus, Errand, Project, Upload
from webapp.places import corpus_folder, models_folder, upload_folder
from webapp.reading import beir_zip, chunks
from webapp.services import corpora, pairs, sample, uploads

_ROW_COST = 3  # bytes of disk for a byte of documents: the table, its indexes, and the file of a cut version


def run(errand: Errand, attempt: Attempt) -> dict[str, Any]:
    """Import the upload `errand.subject`.

    An attempt that was killed leaves a version that is not ready; the next one removes it and begins anew. Once the
    documents are in use, only the examples of a BEIR archive are left to do.
    """
    upload = Upload.objects.select_related("project").filter(pk=errand.subject).first()
    if upload is None or upload.stage != Upload.Stage.IMPORTING:
        return {}
    with cleared_when_given_up(upload, attempt):
        return _import(upload, errand, attempt)


def _import(upload: Upload, errand: Errand, attempt: Attempt) -> dict[str, Any]:
    with told_when_full():
        version = upload.options.get("version") or _import_documents(upload, errand, attempt)
    problem, labels = _import_labels(upload, errand, attempt)
    with attempt.transaction():
        uploads.finish_import(upload=upload, error=problem)
        sample.go_on(upload.project, errand.asked_by)
    return {"version": version, "documents": upload.rows_good, **labels}


def _import_documents(upload: Upload, errand: Errand, attempt: Attempt) -> int:
    source = upload_folder(upload) / CORPUS_FILE
    room_for(_ROW_COST * source.stat().st_size)
    corpora.discard_unfinished(upload, attempt.transaction)
    is_cut = upload.options.get("chunking") == Chunking.PARAGRAPHS
    with attempt.transaction():
        corpus = corpora.begin(upload=upload, chunking=Chunking.PARAGRAPHS if is_cut else Chunking.NONE)
    folder = corpus_folder(corpus)
    shutil.rmtree(folder, ignore_errors=True)  # of an attempt that was killed
    found = upload.options.get("found", {})
    expected = found.get("pieces", upload.rows_good) if is_cut else upload.rows_good
    watcher = _Watcher(corpus, expected, attempt)
    whole = (Document(row["_id"], row["text"], row["title"]) for row in read_jsonl(source))
    pieces = _cut(whole, found.get("separator", "#")) if is_cut else ((document, "") for document in whole)
    stored = watcher.watch(corpora.store(corpus, pieces, attempt.transaction))
    if is_cut:
        write_corpus(folder, stored)
    else:
        for _ in stored:
            pass
        _link(source, folder / CORPUS_FILE)
    digest = sha256_file(folder / CORPUS_FILE)
    with attempt.transaction():
        corpora.publish(
            corpus=corpus, health=watcher.health(upload), sha256=digest, documents=watcher.documents,
            actor=errand.asked_by,
        )  # fmt: skip
        upload.options = {**upload.options, "version": corpus.number}
        Upload.objects.filter(pk=upload.pk).update(options=upload.options)
    return corpus.number


class _Watcher:
    """Looks at each document on its way and reports how far the import is."""

    def __init__(self, corpus: Corpus, expected: int, attempt: Attempt) -> None:
        self._attempt = attempt
        self._expected = expected
        self.documents = 0
        counter = bundled_token_counter(models_folder())
        self._check = HealthCheck(counter, PrepareConfig().window_tokens, max(1, expected))
        self._corpus = corpus

    def watch(self, documents: Iterable[Document]) -> Iterator[Document]:
        for document in self._check.watch(documents):
            self.documents += 1
            message = f"{self.documents:,} of {self._expected:,} documents"
            self._attempt.tick(self.documents, self._expected, message)
            yield document

    def health(self, upload: Upload) -> dict[str, Any]:
        report = self._check.report(Tally(documents=self.documents), None).as_dict()
        return {**report, "changed_rows": upload.rows_changed, "left_out": upload.rows_bad}


def _cut(documents: Iterable[Document], separator: str) -> Iterator[corpora.Piece]:
    for document in documents:
        pieces = chunks.cut(document.text)
        if len(pieces) == 1:
            yield document, ""
            continue
        for number, text in enumerate(pieces, 1):
            doc_id = chunks.piece_id(document.doc_id, separator, number)
            yield Document(doc_id, text, document.title), document.doc_id


def _link(source: Path, target: Path) -> None:
    """The version has the bytes of the check, which are never changed; a copy where the disk knows no hard links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except PermissionError:
        shutil.copyfile(source, target)


def _import_labels(upload: Upload, errand: Errand, attempt: Attempt) -> tuple[str, dict[str, Any]]:
    """Examples of a BEIR archive: what went wrong with them as a sentence, and their counts."""
    folder = upload_folder(upload) / beir_zip.LABELS_FOLDER
    if upload.kind != Upload.Kind.BEIR or not folder.is_dir():
        return "", {}
    attempt.tick(upload.rows_good, upload.rows_good, "The documents are in; taking over the examples")
    project = Project.objects.select_related("corpus").get(pk=upload.project_id)  # with the version of a moment ago
    try:
        counts = pairs.import_beir(
            project=project, folder=folder, actor=errand.asked_by, fence=attempt.transaction
        )  # fmt: skip
    except InputError as error:
        reason = str(error).replace(f"{folder}{os.sep}", "")
        return f"The documents were imported, the examples of the archive were not: {reason}.", {}
    left_out = "; ".join(f"{reason}: {count:,}" for reason, count in counts["left_out"].items())
    problem = f"Some rows of the examples were left out. {left_out}." if left_out else ""
    return problem, {"questions": counts["questions"], "pairs": counts["pairs"]}
