"""Examples from files: checked, decided on, imported; and those of a BEIR archive."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from sptar_engine.data.beir import QUERIES_FILE, SPLITS, qrels_path
from sptar_engine.data.judgements import HEADER
from sptar_engine.errors import InputError
from webapp.downloads import safe_cell
from webapp.models import Project, Query, Upload, User
from webapp.places import upload_folder
from webapp.reading import pairs as reading
from webapp.reading.pairs import BadRow, Found, PairRow
from webapp.reading.sources import GZIP_MARK, Budget, FileSource
from webapp.reading.table_guess import guess_delimiter
from webapp.reading.text_lines import TextLine, guess_encoding, text_lines
from webapp.services import errands, events
from webapp.services.decisions import Fence
from webapp.services.pair_checks import Checked, Tick, against_project, among_themselves
from webapp.services.pair_writing import write
from webapp.uploads import ReceivedFile

KIND = "pairs.import"
IN_REQUEST = 1 << 20
"""Bytes of a file that is read while the person waits; larger ones are an errand."""
PROBLEMS_FILE = "problems.csv"
QUERIES = "queries"
"""The second file of qrels, beside the original."""

_SHOWN = 10  # problems on the page
_HEAD = 1 << 16  # bytes by which encoding and delimiter are guessed

Stage = Upload.Stage


def receive(*, project: Project, file: ReceivedFile, queries: ReceivedFile | None, split: str, actor: User) -> Upload:
    """Keep a file of examples (and the questions of qrels) and check it, at once when it is small."""
    is_qrels = queries is not None or _looks_like_qrels(Path(file.temporary_file_path()))
    with transaction.atomic():
        upload = Upload(
            project=project, kind=Upload.Kind.QRELS if is_qrels else Upload.Kind.PAIRS, stage=Stage.CHECKING,
            name=(file.name or "examples")[-255:], bytes=file.size or 0, sha256=file.sha256,
            options={"split": split, "queries": queries is not None}, uploaded_by=actor,
        )  # fmt: skip
        upload.full_clean(exclude=["options", "problems", "counts"])
        upload.save()
        events.record("upload.received", project=project, actor=actor, upload=upload.pk, name=upload.name[:100])
        file.move_to(upload_folder(upload) / "original")
        if queries is not None:
            queries.move_to(upload_folder(upload) / QUERIES)
        _go_on(upload, actor)
    return upload


def check(*, upload: Upload, tick: Tick = lambda done: None, fence: Fence = transaction.atomic) -> None:
    """Read the whole file, count what is wrong by reason, and ask the person, import, or refuse."""
    try:
        checked = against_project(upload.project, among_themselves(_rows(upload), tick))
    except InputError as error:
        with fence():
            _move(upload, Stage.CHECKING, Stage.REFUSED, error=str(error))
        return
    _write_problems(upload_folder(upload) / PROBLEMS_FILE, checked.bad)
    stage = Stage.QUESTION if checked.pairs else Stage.REFUSED
    error = "" if checked.pairs else "No row can be imported: every one is left out for a reason given below."
    with fence():
        _move(
            upload, Stage.CHECKING, stage, error=error, rows_good=checked.pairs, rows_bad=len(checked.bad),
            problems=[_problem(bad) for bad in checked.bad[:_SHOWN]],
            counts=dict(Counter(bad.reason.value for bad in checked.bad).most_common()),
            options={**upload.options, "facts": _facts(checked)},
        )  # fmt: skip


def accept(*, upload: Upload, actor: User) -> None:
    """Import the good rows and leave the others out."""
    with transaction.atomic():
        _move(upload, Stage.QUESTION, Stage.IMPORTING, keep_good=True)
        _go_on(upload, actor)


def discard(*, upload: Upload, actor: User) -> None:
    """Import nothing."""
    with transaction.atomic():
        _move(upload, Stage.QUESTION, Stage.REFUSED, error="You chose to import nothing.")
        events.record("upload.discarded", project=upload.project, actor=actor, upload=upload.pk)


def import_rows(
    *, upload: Upload, actor: User | None, tick: Tick = lambda done: None, fence: Fence = transaction.atomic
) -> dict[str, Any]:
    """Write the good rows. Done twice, the second time finds them there and writes nothing."""
    checked = among_themselves(_rows(upload), lambda done: None)
    label = f"Imported {upload.name}"
    made = write(project=upload.project, checked=checked, actor=actor, label=label, tick=tick, fence=fence)
    with fence():
        options = {**upload.options, "made": made}
        _move(upload, Stage.IMPORTING, Stage.DONE, options=options)
    return made


def import_beir(
    *, project: Project, folder: Path, actor: User | None, fence: Fence = transaction.atomic
) -> dict[str, Any]:
    """Take over queries.jsonl and qrels/{train,dev,test}.tsv of a BEIR dataset; their splits are kept and fixed.

    Returns `questions` and `pairs` made, and `left_out` by reason. Raises InputError for a file that cannot be read.
    """
    queries, bad = reading.read_queries(_lines(folder / QUERIES_FILE))
    paths = {split: qrels_path(folder, split) for split in SPLITS}
    rows = chain.from_iterable(
        reading.read_qrels(_lines(path), queries, split) for split, path in paths.items() if path.exists()
    )
    checked = among_themselves(chain(bad, rows), lambda done: None)
    label = "Imported the examples of the dataset"
    return write(project=project, checked=checked, actor=actor, label=label, fence=fence)


def _rows(upload: Upload) -> Iterator[Found]:
    """The rows of an upload. Raises InputError for a file that makes no sense as a whole."""
    path = upload_folder(upload) / "original"
    if upload.kind == Upload.Kind.QRELS:
        queries, bad = _questions(upload)
        return chain(bad, reading.read_qrels(_lines(path), queries, upload.options.get("split", "")))
    if _is_jsonl(path, upload.name):
        return _with_split(reading.read_jsonl(_lines(path)), upload)
    head = _head(path)
    encoding = guess_encoding(head)
    return _with_split(reading.read_table(_lines(path), guess_delimiter(head, encoding)), upload)


def _questions(upload: Upload) -> tuple[dict[str, str], list[BadRow]]:
    """The questions that qrels speak of: of the second file, else the project's own."""
    if upload.options.get("queries"):
        return reading.read_queries(_lines(upload_folder(upload) / QUERIES))
    return dict(Query.objects.filter(project=upload.project).values_list("query_id", "text").iterator()), []


def _with_split(rows: Iterator[Found], upload: Upload) -> Iterator[Found]:
    """Give rows without a split the one that the person chose for the file."""
    split = upload.options.get("split", "")
    for row in rows:
        yield replace(row, split=split) if split and isinstance(row, PairRow) and not row.split else row


def _lines(path: Path) -> Iterator[TextLine]:
    encoding = guess_encoding(_head(path))
    with FileSource(path, Budget(settings.UNPACKED_LIMIT_MB << 20)) as source:
        yield from text_lines(iter(source), encoding)


def _head(path: Path) -> bytes:
    if not path.exists():
        raise InputError(f"{path.name} is missing")
    with FileSource(path, Budget(settings.UNPACKED_LIMIT_MB << 20)) as source:
        return next(iter(source), b"")[:_HEAD]


def _raw_head(path: Path) -> bytes:
    if not path.exists():
        raise InputError("The file is not on this machine any more. Upload it again.")
    with path.open("rb") as stream:
        return stream.read(len(GZIP_MARK))


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _is_jsonl(path: Path, name: str) -> bool:
    if name.lower().removesuffix(".gz").endswith((".jsonl", ".ndjson")):
        return True
    return _head(path).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")


def _looks_like_qrels(path: Path) -> bool:
    """Whether the first line is the header of BEIR's qrels, or a row of TREC's."""
    line = next((line.text for line in _lines(path) if line.text.strip()), "")
    cells = line.split()
    return line.lower().split("\t") == list(HEADER) or (
        len(cells) == 4 and cells[1] in ("0", "Q0") and cells[3].lstrip("+-").isdigit()
    )


def _facts(checked: Checked) -> dict[str, int]:
    """What the good rows hold, for the page."""
    split = Counter(rows[0].split for rows in checked.good.values())
    return {
        "questions": len(checked.good),
        "open": sum(not any(row.doc_id for row in rows) for rows in checked.good.values()),
        **{name: split[name] for name in SPLITS},
    }


def _problem(bad: BadRow) -> dict[str, Any]:
    return {"line": bad.line, "reason": bad.reason.value, "sentence": bad.sentence, "excerpt": bad.excerpt}


def _write_problems(path: Path, bad: Sequence[BadRow]) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["line", "reason", "what", "text"])
        for row in bad:
            writer.writerow([row.line, row.reason.value, safe_cell(row.sentence), safe_cell(row.excerpt)])


def _go_on(upload: Upload, actor: User) -> None:
    """Do the next part: now for a small file, else by an errand. A small file's check may be followed by nothing."""
    packed = _raw_head(upload_folder(upload) / "original").startswith(GZIP_MARK)  # who knows how much that unpacks to
    if packed or upload.bytes > IN_REQUEST or _size(upload_folder(upload) / QUERIES) > IN_REQUEST:
        errands.ask(kind=KIND, project=upload.project, subject=upload.pk, actor=actor)
    elif upload.stage == Stage.CHECKING:
        check(upload=upload)
    else:
        import_rows(upload=upload, actor=actor)


def _move(upload: Upload, before: Upload.Stage, after: Upload.Stage, **values: Any) -> None:
    """One conditional update, so that two people or two attempts never take the same step."""
    if not Upload.objects.filter(pk=upload.pk, stage=before).update(stage=after, **values):
        raise InputError("This import has gone on meanwhile. Look at it once more.")
    for name, value in {"stage": after, **values}.items():
        setattr(upload, name, value)
