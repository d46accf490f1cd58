"""Versions of a project's documents: made from an upload, put into use, and put back into use.

Rows come in batches, each in a fenced transaction of its own; a version counts only when `publish` has said so, so
that a killed import leaves nothing but rows that the next one removes.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from django.db import connection, transaction
from django.db.models import Max

from sptar_engine.errors import InputError
from sptar_engine.records import Document as EngineDocument
from webapp.models import Chunking, Corpus, Document, Project, Upload, User
from webapp.places import corpus_folder, upload_folder
from webapp.services import errands, events

Fence = Callable[[], AbstractContextManager[None]]
"""Opens a transaction that fails unless the work still owns its row (webapp.jobs.attempt)."""

Piece = tuple[EngineDocument, str]
"""A document as it is searched, and the id of the whole one where it is a piece."""

_BATCH_ROWS = 4000
_BATCH_CHARACTERS = 4 << 20  # documents may be long: this bounds the memory of a batch
_COLUMNS = ("corpus_id", "doc_id", "title", "text", "source_id")


def begin(*, upload: Upload, chunking: str) -> Corpus:
    """A new version without rows. Call it inside a fenced transaction."""
    project = Project.objects.select_for_update().get(pk=upload.project_id)
    last = project.corpora.aggregate(last=Max("number"))["last"] or 0
    corpus = Corpus(project=project, number=last + 1, upload=upload, chunking=chunking)
    corpus.full_clean(exclude=["health"])
    corpus.save()
    return corpus


def store(corpus: Corpus, pieces: Iterable[Piece], fence: Fence) -> Iterator[EngineDocument]:
    """Put pieces into the table as they stream by; each is yielded when its batch is in.

    Holds one batch at a time. Rows go to the database without model objects: COPY on PostgreSQL, executemany
    elsewhere.
    """
    batch: list[tuple[Any, ...]] = []
    passing: list[EngineDocument] = []
    held = 0
    for document, source in pieces:
        batch.append((corpus.pk, document.doc_id, document.title, document.text, source))
        passing.append(document)
        held += len(document.title) + len(document.text)
        if len(batch) >= _BATCH_ROWS or held >= _BATCH_CHARACTERS:
            yield from _insert(batch, passing, fence)
            batch, passing, held = [], [], 0
    if batch:
        yield from _insert(batch, passing, fence)


def publish(*, corpus: Corpus, health: dict[str, Any], sha256: str, documents: int, actor: User | None) -> None:
    """The version is whole: use it from now on, and have it indexed. Call it inside a fenced transaction."""
    corpus.ready, corpus.health, corpus.sha256, corpus.documents = True, health, sha256, documents
    corpus.full_clean(exclude=["health"])
    corpus.save(update_fields=["ready", "health", "sha256", "documents"])
    events.record(
        "corpus.imported", project=corpus.project, actor=actor, version=corpus.number, documents=documents
    )  # fmt: skip
    _switch(corpus, actor)


def use(*, corpus: Corpus, actor: User) -> None:
    """Use a version that is there already. Raises InputError while it is still being imported."""
    if not corpus.ready:
        raise InputError(f"Version {corpus.number} is not completely imported yet, so it cannot be used.")
    with transaction.atomic():
        events.record("corpus.used", project=corpus.project, actor=actor, version=corpus.number)
        _switch(corpus, actor)


def cut_again(*, corpus: Corpus, chunking: str, actor: User) -> Upload:
    """Make another version from the same upload, its documents cut or whole. Raises InputError where it cannot."""
    from webapp.services import uploads  # it asks for work on the upload; nothing of it is needed before

    upload = corpus.upload
    if upload is None or not (upload_folder(upload) / "corpus.jsonl").exists():
        raise InputError("The file of this version is not kept any more. Upload the documents again.")
    if corpus.chunking == chunking:
        raise InputError("This version is cut that way already.")
    with transaction.atomic():
        options = {name: value for name, value in upload.options.items() if name != "version"}
        moved = Upload.objects.filter(pk=upload.pk, stage=Upload.Stage.DONE).update(
            stage=Upload.Stage.IMPORTING, options={**options, "chunking": Chunking(chunking).value}, error=""
        )
        if not moved:
            raise InputError("Another version is being made of this file right now. Wait until it is done.")
        errands.ask(kind=uploads.IMPORT, project=corpus.project, subject=upload.pk, actor=actor)
        events.record("corpus.cut", project=corpus.project, actor=actor, version=corpus.number, chunking=chunking)
    return upload


def discard_unfinished(upload: Upload, fence: Fence) -> None:
    """Remove what killed or cancelled imports of this upload left."""
    discard(unfinished(upload), fence)


def unfinished(upload: Upload) -> list[Corpus]:
    """Versions that an import of this upload has begun and not finished."""
    return list(Corpus.objects.select_related("project").filter(upload=upload, ready=False))


def discard(left: Iterable[Corpus], fence: Fence) -> None:
    """Remove versions that never were in use, batch by batch."""
    for corpus in left:
        while True:
            with fence():
                last = _first_ids(corpus)
                if not last:
                    corpus.delete()
                    break
                Document.objects.filter(corpus=corpus, id__lte=last[-1]).delete()
        shutil.rmtree(corpus_folder(corpus), ignore_errors=True)


def _first_ids(corpus: Corpus) -> list[int]:
    return list(Document.objects.filter(corpus=corpus).order_by("id").values_list("id", flat=True)[:_BATCH_ROWS])


def _insert(batch: list[tuple[Any, ...]], passing: list[EngineDocument], fence: Fence) -> Iterator[EngineDocument]:
    table = connection.ops.quote_name(Document._meta.db_table)
    columns = ", ".join(connection.ops.quote_name(name) for name in _COLUMNS)
    with fence(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                for row in batch:
                    copy.write_row(row)
        else:
            places = ", ".join(["%s"] * len(_COLUMNS))
            cursor.executemany(f"INSERT INTO {table} ({columns}) VALUES ({places})", batch)  # noqa: S608  our names
    yield from passing


def _switch(corpus: Corpus, actor: User | None) -> None:
    Project.objects.filter(pk=corpus.project_id).update(corpus=corpus)
    for kind in ("corpus.index", "corpus.topics"):
        errands.ask(kind=kind, project=corpus.project, subject=corpus.pk, actor=actor)
