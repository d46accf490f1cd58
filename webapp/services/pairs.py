"""Examples from files: checked, decided on, imported; and those of a BEIR archive."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

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
from webapp.services.pair_checks import MAX_ROWS, Checked, LeftOut, Tick, against_project, among_themselves
from webapp.services.pair_writing import write
from webapp.services.uploads import UploadMoved
from webapp.uploads import ReceivedFile

KIND = "pairs.import"
IN_REQUEST = 1 << 20
"""Bytes of a file that is read while the person waits; larger ones are an errand."""
PROBLEMS_FILE = "problems.csv"
ORIGINAL = "original"
QUERIES = "queries"
"""The second file of qrels, beside the original."""

_HEAD = 1 << 16  # bytes by which encoding and delimiter are guessed

Stage = Upload.Stage


def receive(*, project: Project, file: ReceivedFile, queries: ReceivedFile | None, split: str, actor: User) -> Upload:
    """Keep a file of examples (and the questions of qrels) and check it, at once when it is small."""
    files = _Files(Path(file.temporary_file_path()), Path(queries.temporary_file_path()) if queries else None)
    is_qrels = queries is not None or _looks_like_qrels(files.original)
    upload = Upload(
        project=project, kind=Upload.Kind.QRELS if is_qrels else Upload.Kind.PAIRS, stage=Stage.CHECKING,
        name=(file.name or "examples")[-255:], bytes=file.size or 0, sha256=file.sha256,
        options={"split": split, "queries": queries is not None}, uploaded_by=actor,
    )  # fmt: skip
    upload.full_clean(exclude=["options", "problems", "counts"])
    report = io.StringIO(newline="")
    # Before the transaction: while one is open, nobody else may be able to write.
    result = _examine(upload, files, report, lambda done: None) if files.are_small() else None
    for one in (file, queries):
        if one is not None:
            one.sync()
    with transaction.atomic():
        upload.save()
        events.record("upload.received", project=project, actor=actor, **events.about_upload(upload))
        file.move_to(upload_folder(upload) / ORIGINAL)
        if queries is not None:
            queries.move_to(upload_folder(upload) / QUERIES)
        if result is None:
            errands.ask(kind=KIND, project=project, subject=upload.pk, actor=actor)
        else:
            (upload_folder(upload) / PROBLEMS_FILE).write_text(report.getvalue(), encoding="utf-8-sig", newline="")
            _finish_check(upload, result)
    return upload


def check(*, upload: Upload, tick: Tick = lambda done: None, fence: Fence = transaction.atomic) -> None:
    """Read the whole file, count what is wrong by reason, and ask the person, import, or refuse."""
    folder = upload_folder(upload)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / PROBLEMS_FILE).open("w", encoding="utf-8-sig", newline="") as report:
        result = _examine(upload, _Files.of(upload), report, tick)
    with fence():
        _finish_check(upload, result)


def accept(*, upload: Upload, actor: User) -> None:
    """Import the good rows and leave the others out. Raises UploadMoved for an import that has gone on."""
    checked = _checked(upload) if _Files.of(upload).are_small() else None
    with transaction.atomic():
        _move(upload, Stage.QUESTION, Stage.IMPORTING)
        if checked is None:
            errands.ask(kind=KIND, project=upload.project, subject=upload.pk, actor=actor)
        else:
            _import(upload, checked, actor, lambda done: None, transaction.atomic)


def discard(*, upload: Upload, actor: User) -> None:
    """Import nothing. Raises UploadMoved for an import that has gone on."""
    with transaction.atomic():
        _move(upload, Stage.QUESTION, Stage.REFUSED, error="You chose to import nothing.")
        events.record("upload.discarded", project=upload.project, actor=actor, **events.about_upload(upload))


def import_rows(
    *, upload: Upload, actor: User | None, tick: Tick = lambda done: None, fence: Fence = transaction.atomic
) -> dict[str, Any]:
    """Write the good rows. Done twice, the second time finds them there and writes nothing."""
    return _import(upload, _checked(upload), actor, tick, fence)


def import_beir(
    *, project: Project, folder: Path, actor: User | None, fence: Fence = transaction.atomic
) -> dict[str, Any]:
    """Take over queries.jsonl and qrels/{train,dev,test}.tsv of a BEIR dataset; their splits are kept and fixed.

    Returns `questions` and `pairs` made, and `left_out` by reason. Raises InputError for a file that cannot be read.
    """
    queries, bad = reading.read_queries(_some_lines(folder / QUERIES_FILE))
    paths = {split: qrels_path(folder, split) for split in SPLITS}
    rows = chain.from_iterable(
        reading.read_qrels(_lines(path), queries, split) for split, path in paths.items() if path.exists()
    )
    checked = among_themselves(chain(bad, rows), lambda done: None)
    label = "Imported the examples of the dataset"
    return write(project=project, checked=checked, actor=actor, label=label, fence=fence)


@dataclass(frozen=True, slots=True)
class _Files:
    """Where the files of an upload lie: at their place, or still where they were received."""

    original: Path
    queries: Path | None

    @classmethod
    def of(cls, upload: Upload) -> _Files:
        folder = upload_folder(upload)
        return cls(folder / ORIGINAL, folder / QUERIES if upload.options.get("queries") else None)

    def are_small(self) -> bool:
        """Whether a person may wait while they are read."""
        if _raw_head(self.original).startswith(GZIP_MARK):  # who knows how much that unpacks to
            return False
        if self.queries is not None and (
            _size(self.queries) > IN_REQUEST or _raw_head(self.queries).startswith(GZIP_MARK)
        ):
            return False
        return _size(self.original) <= IN_REQUEST


def _examine(upload: Upload, files: _Files, report: TextIO, tick: Tick) -> Checked | InputError:
    """Check all rows against each other and the project; what is left out goes to `report` row by row."""
    writer = csv.writer(report)
    writer.writerow(["line", "reason", "what", "text"])

    def tell(bad: BadRow) -> None:
        writer.writerow([bad.line, bad.reason.value, safe_cell(bad.sentence), safe_cell(bad.excerpt)])

    try:
        rows = _rows(upload, files)
        return against_project(upload.project, among_themselves(rows, tick, LeftOut(tell)))
    except InputError as error:
        return error


def _finish_check(upload: Upload, result: Checked | InputError) -> None:
    """Ask the person, or refuse. Call it inside a fenced transaction."""
    if isinstance(result, InputError):
        _move(upload, Stage.CHECKING, Stage.REFUSED, error=str(result))
        return
    stage = Stage.QUESTION if result.pairs else Stage.REFUSED
    error = "" if result.pairs else "No row can be imported: every one is left out for a reason given below."
    _move(
        upload, Stage.CHECKING, stage, error=error, rows_good=result.pairs, rows_bad=result.bad.counts.total(),
        problems=[_problem(bad) for bad in result.bad.first], counts=dict(result.bad.counts.most_common()),
        options={**upload.options, "facts": _facts(result)},
    )  # fmt: skip


def _checked(upload: Upload) -> Checked:
    """The rows as the check found them; `write` looks at the project once more."""
    return among_themselves(_rows(upload, _Files.of(upload)), lambda done: None)


def _import(upload: Upload, checked: Checked, actor: User | None, tick: Tick, fence: Fence) -> dict[str, Any]:
    label = f"Imported {upload.name}"
    made = write(project=upload.project, checked=checked, actor=actor, label=label, tick=tick, fence=fence)
    with fence():
        _move(upload, Stage.IMPORTING, Stage.DONE, options={**upload.options, "made": made})
    return made


def _rows(upload: Upload, files: _Files) -> Iterator[Found]:
    """The rows of an upload. Raises InputError for a file that makes no sense as a whole."""
    path = files.original
    if upload.kind == Upload.Kind.QRELS:
        queries, bad = _questions(upload, files)
        return chain(bad, reading.read_qrels(_lines(path), queries, upload.options.get("split", "")))
    if _is_jsonl(path, upload.name):
        return _with_split(reading.read_jsonl(_lines(path)), upload)
    head = _head(path)
    encoding = guess_encoding(head)
    return _with_split(reading.read_table(_lines(path), guess_delimiter(head, encoding)), upload)


def _questions(upload: Upload, files: _Files) -> tuple[dict[str, str], list[BadRow]]:
    """The questions that qrels speak of: of the second file, else the project's own."""
    if files.queries is not None:
        return reading.read_queries(_some_lines(files.queries))
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


def _some_lines(path: Path) -> Iterator[TextLine]:
    """The lines of a file that is held in memory. Raises InputError where they are too many for that."""
    for number, line in enumerate(_lines(path), 1):
        if number > MAX_ROWS:
            raise InputError(f"The file of questions has more than {MAX_ROWS:,} lines. Split it into several files.")
        yield line


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
    """Whether the first line is the header of BEIR's qrels, or a row of TREC's. Reads no more than the head."""
    head = _head(path)
    line = next((line.text for line in text_lines(iter([head]), guess_encoding(head)) if line.text.strip()), "")
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


def _move(upload: Upload, before: Upload.Stage, after: Upload.Stage, **values: Any) -> None:
    """One conditional update, so that two people or two attempts never take the same step."""
    if not Upload.objects.filter(pk=upload.pk, stage=before).update(stage=after, **values):
        raise UploadMoved("This import has gone on meanwhile. Look at it once more.")
    for name, value in {"stage": after, **values}.items():
        setattr(upload, name, value)
