"""Reads an upload once: good rows to corpus.jsonl beside it, problems to problems.csv, and then what comes next."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from sptar_engine.errors import InputError
from webapp.errands.disk import room_for, told_when_full
from webapp.errands.given_up import cleared_when_given_up
from webapp.jobs.attempt import Attempt
from webapp.models import Errand, Upload
from webapp.places import upload_folder
from webapp.reading import beir_zip
from webapp.reading.checking import Findings, check
from webapp.reading.documents import DocumentReading
from webapp.services import uploads


def run(errand: Errand, attempt: Attempt) -> dict[str, Any]:
    """Check the upload `errand.subject`. Redone from its beginning when it was killed."""
    upload = Upload.objects.select_related("project").filter(pk=errand.subject).first()
    if upload is None or upload.stage != Upload.Stage.CHECKING:
        return {}
    with cleared_when_given_up(upload, attempt):
        return _check(upload, errand, attempt)


def _check(upload: Upload, errand: Errand, attempt: Attempt) -> dict[str, Any]:
    folder = upload_folder(upload)
    room_for(2 * upload.bytes)
    try:
        with told_when_full():
            findings, found = _read(upload, folder, attempt)
    except InputError as error:
        with attempt.transaction():
            uploads.refuse(upload=upload, reason=str(error), actor=errand.asked_by)
        return {"refused": 1}
    with attempt.transaction():
        uploads.finish_check(upload=upload, findings=findings, found=found, actor=errand.asked_by)
    return {"good": findings.good, "bad": findings.bad}


def _read(upload: Upload, folder: Path, attempt: Attempt) -> tuple[Findings, dict[str, Any]]:
    scratch = folder / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    try:
        with DocumentReading(
            uploads.original_file(upload), name=upload.name, kind=upload.kind, options=upload.options, scratch=scratch,
            limit=uploads.unpacked_limit(),
        ) as reading:  # fmt: skip

            def report(findings: Findings) -> None:
                rows = findings.good + findings.bad
                attempt.tick(reading.done, reading.total, f"{rows:,} rows read", good=findings.good, bad=findings.bad)

            findings = check(reading, folder, report)
            return findings, {**findings.measures(), **_labels(reading, folder)}
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _labels(reading: DocumentReading, folder: Path) -> dict[str, Any]:
    """Put the queries and judgements of a BEIR archive aside for the import."""
    if reading.parts is None or reading.archive is None:
        return {}
    target = folder / beir_zip.LABELS_FOLDER
    shutil.rmtree(target, ignore_errors=True)
    if not reading.parts.has_labels:
        return {"splits": []}
    beir_zip.extract_labels(reading.archive, reading.parts, target)
    return {"splits": sorted(reading.parts.qrels)}
