"""Having an upload of documents checked without a page: as it was guessed, with what is said otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError

from sptar_engine.errors import InputError
from webapp.forms.uploads import ChoicesForm
from webapp.models import Upload, User
from webapp.selectors.upload_choices import Look, look
from webapp.services import uploads


def check(*, upload: Upload, actor: User, wishes: Mapping[str, Any]) -> None:
    """Start the check. `wishes` may name kind, encoding, delimiter, header, roles (of a table's columns), chunking.

    Raises InputError when nothing can be read that way, ValidationError for a choice that there is not, UploadMoved.
    """
    if upload.stage != Upload.Stage.MAPPING:
        raise uploads.UploadMoved("The choices of this upload are made already.")
    guessed = look(upload)
    first = look(upload, {**_fields(guessed), **_texts(wishes), "seen": guessed.seen})
    data = _fields(first, wishes.get("header"), wishes.get("roles"))
    found = look(upload, data)
    if found.problem:
        raise InputError(found.problem)
    form = ChoicesForm(data | _texts(wishes), kinds=found.kinds, columns=found.columns, options=found.options)
    if not form.is_valid():
        raise ValidationError({field: list(texts) for field, texts in form.errors.items()})
    uploads.start_check(upload=upload, kind=found.kind, options=form.options(), actor=actor)


def _texts(wishes: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(wishes[name]) for name in ("kind", "encoding", "delimiter", "chunking") if wishes.get(name)}


def _fields(shown: Look, header: bool | None = None, roles: Sequence[str] | None = None) -> dict[str, str]:
    """The choices as the form on the page would send them."""
    options = shown.options
    data = {"kind": shown.kind, "seen": shown.seen}
    data |= {name: str(options[name]) for name in ("encoding", "delimiter", "chunking") if name in options}
    if options.get("header") if header is None else header:
        data["header"] = "on"
    for number, role in enumerate(options.get("roles", []) if roles is None else roles):
        data[f"role_{number}"] = role
    return data
