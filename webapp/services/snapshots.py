"""The dataset of an experiment: what documents, questions and judgements were when it was started.

A folder in BEIR's layout, named by the hash of its content: the same data is one folder, and nothing that happens to
documents or examples later reaches a run (RELIABILITY T33).
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from django.db import transaction

from sptar_engine.artifacts import sha256_file, sha256_json
from sptar_engine.data.beir import CORPUS_FILE, QUERIES_FILE, SPLITS, qrels_path, write_labels
from sptar_engine.records import Qrels
from sptar_engine.records import Query as EngineQuery
from webapp.chunks import chunks
from webapp.models import Corpus, Document, Judgement, Project, Query
from webapp.places import corpus_folder, snapshot_folder
from webapp.selectors import judgements
from webapp.services import decisions, splits

_NAME = 32  # hex digits: 128 bits
_NO_LINK = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP)  # the file system cannot; a copy does as well


class SnapshotError(Exception):
    """There is nothing to make a snapshot of. The text says what is missing."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A dataset on disk. `counts` is for Experiment.counts; `left_out` counts judgements of documents that are gone."""

    name: str
    counts: Mapping[str, int]
    left_out: int


def take(project: Project) -> Snapshot:
    """Write the project's data as it is now, splits assigned. Raises SnapshotError without documents.

    The same data twice gives the same folder; a crash in between leaves nothing under its name.
    """
    corpus = project.corpus
    if corpus is None or not corpus.ready:
        raise SnapshotError("There are no documents yet. Upload some first.")
    with transaction.atomic():
        decisions.lock(project)
        splits.assign(project)
    queries, qrels, left_out = _labels(project, corpus)
    folder = snapshot_folder(project, "x").parent
    folder.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=folder, prefix=".making-"))
    try:
        _link(corpus_folder(corpus) / CORPUS_FILE, made / CORPUS_FILE)
        write_labels(made, queries, qrels)
        name = _content_name(made, corpus)
        _publish(made, snapshot_folder(project, name))
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return Snapshot(name, _counts(corpus, qrels), left_out)


def _labels(project: Project, corpus: Corpus) -> tuple[list[EngineQuery], dict[str, Qrels], int]:
    """Questions in their order, their grades by split, and how many grades are of documents not in this version."""
    rows = splits.usable(Query.objects.filter(project=project, split__in=SPLITS)).order_by("id")
    texts = {row.pk: row for row in rows.only("query_id", "text", "split")}
    graded: dict[int, dict[str, int]] = {}
    for found in judgements.effective(Judgement.objects.filter(query__project=project)):
        if found.query in texts:
            graded.setdefault(found.query, {})[found.doc_id] = found.grade
    present = _present(corpus, {doc_id for grades in graded.values() for doc_id in grades})
    queries: list[EngineQuery] = []
    qrels: dict[str, dict[str, dict[str, int]]] = {split: {} for split in SPLITS}
    left_out = 0
    for pk, row in texts.items():
        grades = {doc_id: grade for doc_id, grade in sorted(graded.get(pk, {}).items()) if doc_id in present}
        left_out += len(graded.get(pk, {})) - len(grades)
        if any(grade >= 1 for grade in grades.values()):
            queries.append(EngineQuery(row.query_id, row.text))
            qrels[row.split][row.query_id] = grades
    return queries, {split: Qrels(grades) for split, grades in qrels.items()}, left_out


def _present(corpus: Corpus, doc_ids: Iterable[str]) -> set[str]:
    """Those ids that this version of the documents has."""
    found: set[str] = set()
    for some in chunks(sorted(doc_ids)):
        found.update(Document.objects.filter(corpus=corpus, doc_id__in=some).values_list("doc_id", flat=True))
    return found


def _link(source: Path, target: Path) -> None:
    """Documents are large and never changed once written, so both names share the bytes."""
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise SnapshotError("The file of the documents is missing on disk. Upload the documents again.") from None
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        shutil.copyfile(source, target)


def _content_name(folder: Path, corpus: Corpus) -> str:
    """As sptar_engine.pipeline.input_digest, with the documents' hash that the import has made already."""
    files = [QUERIES_FILE, *(qrels_path(Path(), split).as_posix() for split in SPLITS)]
    hashes = {name: sha256_file(folder / name) for name in files}
    hashes[CORPUS_FILE] = corpus.sha256 or sha256_file(folder / CORPUS_FILE)
    return sha256_json(hashes)[:_NAME]


def _publish(made: Path, folder: Path) -> None:
    os.chmod(made, 0o755)
    try:
        os.rename(made, folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise  # any other reason than that the same data is there already


def _counts(corpus: Corpus, qrels: Mapping[str, Qrels]) -> dict[str, int]:
    pairs = sum(len(qrels["train"].relevant(query_id)) for query_id in qrels["train"].grades)
    counts = {split: len(qrels[split].grades) for split in SPLITS}
    labelled = {doc_id for grades in qrels["train"].grades.values() for doc_id in grades}
    return {"documents": corpus.documents, **counts, "train_pairs": pairs, "pool": corpus.documents - len(labelled)}
