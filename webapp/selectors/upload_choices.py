"""How an upload is going to be read: the guess, the person's changes, and what that makes of its first documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings

from sptar_engine.errors import InputError
from webapp.models import Chunking, Upload
from webapp.places import upload_folder
from webapp.reading.documents import Preview, preview
from webapp.reading.sniffing import read_head, table_options
from webapp.reading.table_guess import column_names
from webapp.reading.tables import DELIMITERS, ROLES
from webapp.reading.text_lines import ENCODINGS, guess_encoding
from webapp.selectors.uploads import DOCUMENT_KINDS

_TEXT_KINDS = (Upload.Kind.JSONL, Upload.Kind.TABLE)
_ZIP = b"PK\x03\x04"


@dataclass(frozen=True, slots=True)
class Look:
    """An upload as it would be read with these choices. `problem` says why nothing can be shown."""

    kind: str
    options: dict[str, Any]
    kinds: list[tuple[str, str]]
    columns: list[str] = field(default_factory=list)
    preview: Preview = field(default_factory=lambda: Preview([], [], []))
    problem: str = ""
    other_encoding: str = ""
    """The name of an encoding that fits better than the chosen one, by the beginning of the file."""

    @property
    def seen(self) -> str:
        """What the columns were guessed for; when the person changes it, they are guessed anew."""
        return _seen(self.kind, self.options)


def look(upload: Upload, data: Mapping[str, str] | None = None) -> Look:
    """Look at an upload with the choices of `data`, the fields of webapp.forms.uploads.ChoicesForm, or its own."""
    path = upload_folder(upload) / "original"
    kind, options = _choices(upload, path, data)
    kinds = _possible_kinds(path)
    columns: list[str] = []
    shown, problem = Preview([], [], []), ""
    try:
        if kind == Upload.Kind.TABLE:
            head = _head(path)
            columns = column_names(head, options["encoding"], options["delimiter"], options["header"])
            options["roles"] = _fitted(options["roles"], len(columns))
        shown = preview(path, name=upload.name, kind=kind, options=options, limit=_limit())
    except InputError as error:
        problem = str(error)
    return Look(kind, options, kinds, columns, shown, problem, _better_encoding(path, kind, options))


def _choices(upload: Upload, path: Path, data: Mapping[str, str] | None) -> tuple[str, dict[str, Any]]:
    if data is None or "kind" not in data:
        return upload.kind, {**_defaults(upload.kind), **upload.options}
    kind = data["kind"] if data["kind"] in DOCUMENT_KINDS else upload.kind
    options: dict[str, Any] = _defaults(kind)
    if "chunking" in options and data.get("chunking") in Chunking.values:
        options["chunking"] = data["chunking"]
    if kind not in _TEXT_KINDS:
        return kind, options
    guessed = guess_encoding(_head(path))
    options["encoding"] = data["encoding"] if data.get("encoding") in ENCODINGS else guessed
    if kind == Upload.Kind.TABLE:
        options |= _table_choices(path, options, data)
    return kind, options


def _table_choices(path: Path, options: dict[str, Any], data: Mapping[str, str]) -> dict[str, Any]:
    kind, encoding, delimiter = Upload.Kind.TABLE.value, options["encoding"], data.get("delimiter", "")
    delimiter = delimiter if delimiter in DELIMITERS else ""
    if data.get("seen") != _seen(kind, {"encoding": encoding, "delimiter": delimiter}):
        # The kind, the encoding or the delimiter is new, so what was said about the columns means nothing any more.
        same_file = data.get("seen", "").startswith(f"{kind}/")
        return table_options(_head(path), encoding, delimiter if same_file else "")
    roles = []
    while (role := data.get(f"role_{len(roles)}")) is not None:
        roles.append(role if role in ROLES else "")
    return {"delimiter": delimiter, "header": data.get("header") == "on", "roles": roles}


def _defaults(kind: str) -> dict[str, Any]:
    if kind == Upload.Kind.BEIR:  # its judgements name whole documents
        return {}
    cut = kind in (Upload.Kind.TEXTS, Upload.Kind.PDF, Upload.Kind.DOCX)
    return {"chunking": Chunking.PARAGRAPHS.value if cut else Chunking.NONE.value}


def _possible_kinds(path: Path) -> list[tuple[str, str]]:
    """Kinds that the bytes allow: a zip is never a table, a text is never a PDF."""
    with path.open("rb") as stream:
        head = stream.read(5)
    if head.startswith(_ZIP):
        kinds = [Upload.Kind.TEXTS, Upload.Kind.BEIR, Upload.Kind.DOCX]
    elif head == b"%PDF-":
        kinds = [Upload.Kind.PDF]
    else:
        kinds = [Upload.Kind.JSONL, Upload.Kind.TABLE, Upload.Kind.TEXTS]
    names = {Upload.Kind.TEXTS: "One text file"} if not head.startswith(_ZIP) else {}
    return [(kind.value, names.get(kind, str(kind.label))) for kind in kinds]


def _better_encoding(path: Path, kind: str, options: dict[str, Any]) -> str:
    if kind not in _TEXT_KINDS:
        return ""
    guessed = guess_encoding(_head(path))
    return "" if guessed == options["encoding"] else ENCODINGS[guessed]


def _fitted(roles: list[str], width: int) -> list[str]:
    return [*roles, *[""] * width][:width]


def _seen(kind: str, options: Mapping[str, Any]) -> str:
    return f"{kind}/{options.get('encoding', '')}/{options.get('delimiter', '')}"


def _head(path: Path) -> bytes:
    return read_head(path, _limit())


def _limit() -> int:
    return int(settings.UNPACKED_LIMIT_MB) << 20
