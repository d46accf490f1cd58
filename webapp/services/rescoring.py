"""Judgements of a later day for an experiment that is over: kept as a version, by which its runs are measured anew.

Only judgements of its own test questions count (webapp.selectors.judgements says which).
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from django.db.models import Max

from sptar_engine.artifacts import sha256_file
from sptar_engine.data.beir import qrels_path, write_labels
from sptar_engine.records import Qrels
from sptar_engine.records import Query as EngineQuery
from webapp.chunks import chunks
from webapp.models import Document, Errand, Experiment, Judgement, Query, Rescoring, State, User
from webapp.places import qrels_folder
from webapp.selectors import measured
from webapp.selectors.judgements import effective
from webapp.services import errands, events

KIND = "experiment.rescore"

_NAME = 32  # hex digits


class NothingToScore(Exception):
    """The experiment cannot be measured again. The text says why."""


def ask(*, experiment: Experiment, actor: User) -> Errand:
    """Have the stored runs measured by today's judgements. Raises NothingToScore."""
    if not State(experiment.state).is_over:
        raise NothingToScore("This experiment still runs. Its figures can be brought up to date when it is over.")
    if not measured.runs_of(experiment):
        raise NothingToScore("Nothing of this experiment is measured yet, so there is nothing to measure again.")
    return errands.ask(kind=KIND, project=experiment.project, subject=experiment.pk, actor=actor)


def todays_judgements(experiment: Experiment) -> Qrels:
    """Today's grades of the experiment's test questions.

    A question that was reworded or removed since keeps the grades of its start: its runs answer the old words.
    """
    first = measured.qrels_of(experiment, measured.versions_of(experiment)[-1])
    texts = measured.questions_of(experiment)
    rows = _same_questions(experiment, texts)
    graded = _graded(experiment, rows)
    grades = {query_id: graded.get(query_id, {}) if query_id in rows else old for query_id, old in first.grades.items()}
    return Qrels({query_id: dict(sorted(found.items())) for query_id, found in grades.items() if found})


def keep(experiment: Experiment, qrels: Qrels) -> str:
    """Write judgements into their folder, and return its name. The same judgements are one folder."""
    texts = measured.questions_of(experiment)
    folder = qrels_folder(experiment.project, "x").parent
    folder.mkdir(parents=True, exist_ok=True)
    made = tempfile.mkdtemp(dir=folder, prefix=".making-")
    try:
        queries = [EngineQuery(query_id, texts[query_id]) for query_id in qrels.grades if query_id in texts]
        write_labels(folder / made, queries, {"test": qrels})
        name = sha256_file(qrels_path(folder / made, "test"))[:_NAME]
        os.chmod(made, 0o755)
        try:
            os.rename(made, folder / name)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise  # any other reason than that the same judgements are there already
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return name


def is_known(experiment: Experiment, qrels: Qrels) -> bool:
    """Whether the newest figures are by these judgements and of all that is measured."""
    version = measured.newest(experiment)
    return set(version.arms) == set(measured.runs_of(experiment)) and measured.qrels_of(experiment, version) == qrels


def add(
    *,
    experiment: Experiment,
    name: str,
    qrels: Qrels,
    labels_version: int,
    comparison: Mapping[str, Any],
    actor: User | None,
    fence: Callable[[], AbstractContextManager[Any]],
) -> Rescoring:
    """Add the version, in the transaction that `fence` opens."""
    before = measured.qrels_of(experiment, measured.newest(experiment)).pairs
    with fence():
        Experiment.objects.select_for_update().get(pk=experiment.pk)  # numbers are given out one at a time
        last = Rescoring.objects.filter(experiment=experiment).aggregate(last=Max("number"))["last"] or 0
        row = Rescoring(
            experiment=experiment, number=last + 1, qrels=name, labels_version=labels_version, judged=qrels.pairs,
            added=qrels.pairs - before, comparison=dict(comparison), asked_by=actor,
        )  # fmt: skip
        row.clean_fields(exclude=["comparison"])
        row.save(force_insert=True)
        facts = {"experiment": experiment.number, "version": row.number, "judged": row.judged}
        events.record("experiment.rescored", project=experiment.project, actor=actor, **facts)
    return row


def _same_questions(experiment: Experiment, texts: Mapping[str, str]) -> dict[str, int]:
    """Row ids of the questions that are there and read as they did, by query id."""
    found: dict[str, int] = {}
    for some in chunks(texts):
        rows = Query.objects.filter(project=experiment.project, query_id__in=some)
        for pk, query_id, text in rows.values_list("pk", "query_id", "text"):
            if " ".join(text.split()) == " ".join(texts[query_id].split()):
                found[query_id] = pk
    return found


def _graded(experiment: Experiment, queries: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """The grades that count, by query id and document."""
    names = {pk: query_id for query_id, pk in queries.items()}
    graded: dict[str, dict[str, int]] = {}
    for some in chunks(names):
        for found in effective(Judgement.objects.filter(query_id__in=some)):
            graded.setdefault(names[found.query], {})[found.doc_id] = found.grade
    present = _present(experiment, {doc_id for grades in graded.values() for doc_id in grades})
    return {
        query_id: {doc_id: grade for doc_id, grade in grades.items() if doc_id in present}
        for query_id, grades in graded.items()
    }


def _present(experiment: Experiment, doc_ids: set[str]) -> set[str]:
    """Those that were in the version of the documents that was searched."""
    found: set[str] = set()
    for some in chunks(sorted(doc_ids)):
        rows = Document.objects.filter(corpus=experiment.corpus_id, doc_id__in=some)
        found.update(rows.values_list("doc_id", flat=True))
    return found
